"""Blobs by the official client library of Azure Blob Storage. Arguments: base URL, authority's certificate, token."""
import hashlib
import json
import ssl
import sys
import urllib.request

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient

base, ca, token = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)


def action(name, parameters):
    request = urllib.request.Request(
        f"{base}/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.{name}",
        json.dumps(parameters).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    return json.load(urllib.request.urlopen(request, context=context))["value"]


def blob(name):
    url = json.loads(action("GetAzureWriteUrl", {"uniqueFileName": name}))["BlobUrl"]
    return BlobClient.from_blob_url(url, connection_verify=ca)


def check(condition, what):
    assert condition, what
    print(what)


small = blob("00000000-0000-0000-0000-000000000000")
small.upload_blob(b"small")
check(small.download_blob().readall() == b"small", "5 bytes up and down")
try:
    small.upload_blob(b"other")
    raise AssertionError("it was written over")
except HttpResponseError as error:
    check(error.error_code == "BlobAlreadyExists", "what is there is not written over unasked")
small.upload_blob(b"other", overwrite=True)
check(small.get_blob_properties().size == 5, "written over, and its properties told")
check(small.download_blob(offset=1, length=3).readall() == b"the", "a part of it")
empty = blob("empty")
empty.upload_blob(b"")
check(empty.download_blob().readall() == b"", "nothing up and down")

piece = hashlib.sha256(b"entrepot").digest() * (32 * 1024)
large = piece * 70
names = blob("a name/with parts.zip")
names.upload_blob(large, max_concurrency=4)
check(hashlib.sha256(names.download_blob(max_concurrency=4).readall()).digest() == hashlib.sha256(large).digest(), "70 MiB up, in blocks, and down")
medium = blob("medium")
medium.upload_blob(large[: 40 << 20])
check(medium.download_blob().readall() == large[: 40 << 20], "40 MiB up and down, in ranges")
print("done")
