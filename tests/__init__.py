"""The tests mirror the tree; journeys/ tells whole stories."""
