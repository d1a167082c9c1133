"""Any plugin as an MCP server.

Takes a plugin of this process or an installed one. Provides the endpoint that a served plugin has at `/mcp`, and a
server on stdio or HTTP for one that runs elsewhere. The `mcp` package is imported at the first request.
"""
