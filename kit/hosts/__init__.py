"""One module for each host: what it needs of a plugin, in the host's own form."""
