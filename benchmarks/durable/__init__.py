"""The same work with runs that survive, one module per engine; `durable/protocol.py` says what each offers."""
