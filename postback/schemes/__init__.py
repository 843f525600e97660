"""How networks prove who they are: one pure file a family of schemes, none of them chosen by a request."""
