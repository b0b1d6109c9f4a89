"""MCP servers as environments: docs/mcp.md."""
