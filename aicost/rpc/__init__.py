"""The transports, tRPC and JSON-RPC. They translate requests and responses; `aicost.api` decides."""
