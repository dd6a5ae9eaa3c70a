"""Sends numbered documents with ids over _bulk, by Elastic's client or OpenSearch's, until each is answered.

In: the client's package, the server's port, a token, how many. A chunk that got no answer is sent again; 409 says
that it was stored before. Out: how many were.
"""
import importlib
import sys
import time

package, port, token, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
library = importlib.import_module(package)
helpers = importlib.import_module(package + ".helpers")
address = f"http://127.0.0.1:{port}"
if package == "elasticsearch":
    client = library.Elasticsearch(address, basic_auth=("sender", token), max_retries=0)
    unreachable = importlib.import_module("elastic_transport").TransportError
else:
    client = library.OpenSearch(address, http_auth=("sender", token), max_retries=0)
    unreachable = library.exceptions.ConnectionError
assert client.info()["version"]["number"]

CHUNK = 100
repeats = 0
for first in range(0, count, CHUNK):
    lines = [f"dong{number:05}" for number in range(first, min(first + CHUNK, count))]
    actions = [{"_op_type": "create", "_index": "logs", "_id": line, "message": line} for line in lines]
    while True:
        try:
            stored, failed = helpers.bulk(client, actions, raise_on_error=False)
        except unreachable:
            time.sleep(0.05)
            continue
        known = [item["create"]["status"] for item in failed]
        assert stored + len(known) == len(lines) and set(known) <= {409}, failed
        repeats += len(known)
        break
print(repeats)
