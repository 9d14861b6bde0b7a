protos:
	$(PROTOC_PYTHON) -m grpc_tools.protoc -Iprotos --python_out=protos --pyi_out=protos --grpc_python_out=protos protos/edgewright_contract/agent.proto
