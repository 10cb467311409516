"""The only readers of other libraries' private names."""
