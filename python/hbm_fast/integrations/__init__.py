"""One file a peer, imported only when asked for."""
