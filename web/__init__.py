"""Joins the rooms: application factory, sign-in, problem documents, console pages, command line."""
