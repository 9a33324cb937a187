# Made from gapcast/client/aio by docs/make_sync_client.py: change the code there.
