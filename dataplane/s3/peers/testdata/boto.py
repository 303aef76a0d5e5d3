"""Drives boto3: the files of argv[1] go into the bucket argv[2] and come back to argv[3]."""
import io
import os
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

src, bucket, back = sys.argv[1:4]
s3 = boto3.client(
    "s3",
    endpoint_url=os.environ["ENDPOINT"],
    config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 1, "mode": "standard"}, max_pool_connections=16),
)
s3.create_bucket(Bucket=bucket)
transfer = TransferConfig(multipart_threshold=6 << 20, multipart_chunksize=5 << 20, max_concurrency=4)


def names():
    for at, _, files in os.walk(src):
        for f in files:
            yield os.path.relpath(os.path.join(at, f), src)


def refused(what, codes, call):
    try:
        call()
    except ClientError as e:
        assert e.response["Error"]["Code"] in codes, (what, e.response["Error"])
        return
    raise AssertionError(what + " was not refused")


def carry():
    files = sorted(names())
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda f: s3.upload_file(os.path.join(src, f), bucket, f, Config=transfer), files))
    for api in "list_objects", "list_objects_v2":
        listed = [o["Key"] for page in s3.get_paginator(api).paginate(Bucket=bucket, PaginationConfig={"PageSize": 300}) for o in page["Contents"]]
        assert listed == sorted(files, key=lambda f: f.encode()), (api, len(listed), len(files))

    def down(f):
        os.makedirs(os.path.dirname(os.path.join(back, f)), exist_ok=True)
        with open(os.path.join(back, f), "wb") as out:
            out.write(s3.get_object(Bucket=bucket, Key=f)["Body"].read())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(down, files))


def keys_that_no_file_system_has():
    for i, key in enumerate(["a//b", "/lead", "trail/", "//", "a/./b", "a/../b", "../up", "a/..", ".", "..", "new\nline", "cr\r", "x" * 1024, "\u2028", "a\\..\\b", "\x7f", "😀" * 256]):
        s3.put_object(Bucket=bucket, Key="odd/" + key if len(key.encode()) < 1020 else key, Body=str(i).encode())
        got = s3.get_object(Bucket=bucket, Key="odd/" + key if len(key.encode()) < 1020 else key)["Body"].read()
        assert got == str(i).encode(), key
    listed = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket, Prefix="odd/")["Contents"]]
    assert len(listed) == 15 and "odd/a/../b" in listed and "odd/new\nline" in listed and "odd/cr\r" in listed, listed
    refused("a key of 1,025 octets", ["KeyTooLongError"], lambda: s3.put_object(Bucket=bucket, Key="x" * 1025, Body=b""))


def objects():
    s3.upload_fileobj(io.BytesIO(b"x" * 70000), bucket, "streamed", ExtraArgs={"Metadata": {"colour": "blue"}, "ContentType": "text/x-odd", "Tagging": "a=b"})
    head = s3.head_object(Bucket=bucket, Key="streamed")
    assert head["Metadata"] == {"colour": "blue"} and head["ContentType"] == "text/x-odd" and head["ContentLength"] == 70000, head
    assert s3.get_object_tagging(Bucket=bucket, Key="streamed")["TagSet"] == [{"Key": "a", "Value": "b"}]
    s3.copy({"Bucket": bucket, "Key": "streamed"}, bucket, "copied", ExtraArgs={"MetadataDirective": "REPLACE", "Metadata": {"colour": "red"}})
    assert s3.head_object(Bucket=bucket, Key="copied")["Metadata"] == {"colour": "red"}
    part = s3.get_object(Bucket=bucket, Key="streamed", Range="bytes=69990-80000")
    assert part["ContentRange"] == "bytes 69990-69999/70000" and part["Body"].read() == b"x" * 10
    refused("If-Match", ["PreconditionFailed"], lambda: s3.get_object(Bucket=bucket, Key="streamed", IfMatch='"0"'))
    refused("If-None-Match", ["304"], lambda: s3.get_object(Bucket=bucket, Key="streamed", IfNoneMatch=head["ETag"]))
    refused("nothing", ["NoSuchKey"], lambda: s3.get_object(Bucket=bucket, Key="nothing"))
    refused("no bucket", ["NoSuchBucket"], lambda: s3.list_objects_v2(Bucket=bucket + "-other"))
    for a in "CRC32", "SHA1", "SHA256":
        put = s3.put_object(Bucket=bucket, Key="sum-" + a, Body=b"sum", ChecksumAlgorithm=a)
        got = s3.get_object(Bucket=bucket, Key="sum-" + a, ChecksumMode="ENABLED")
        assert got["Body"].read() == b"sum" and got["Checksum" + a] == put["Checksum" + a]
    s3.get_waiter("object_exists").wait(Bucket=bucket, Key="copied")


def links():
    link = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "streamed"}, ExpiresIn=60)
    assert urllib.request.urlopen(link).read() == b"x" * 70000
    form = s3.generate_presigned_post(bucket, "posted/${filename}", Fields={"acl": "private"}, Conditions=[{"acl": "private"}, ["content-length-range", 1, 100]])
    post(form, b"by form")
    assert s3.get_object(Bucket=bucket, Key="posted/a name.txt")["Body"].read() == b"by form"
    try:
        post(form, b"y" * 101)
    except urllib.error.HTTPError as e:
        assert e.code == 400 and b"EntityTooLarge" in e.read()
    else:
        raise AssertionError("a form with too much was accepted")


def post(form, body):
    line = "----a-line-that-is-in-no-file"
    parts = b""
    for name, value in form["fields"].items():
        parts += f'--{line}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    parts += f'--{line}\r\nContent-Disposition: form-data; name="file"; filename="a name.txt"\r\nContent-Type: text/plain\r\n\r\n'.encode() + body + f"\r\n--{line}--\r\n".encode()
    req = urllib.request.Request(form["url"], data=parts, headers={"Content-Type": "multipart/form-data; boundary=" + line})
    with urllib.request.urlopen(req) as r:
        assert r.status == 204, r.status


def versions():
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    ids = [s3.put_object(Bucket=bucket, Key="kept", Body=b"v%d" % i)["VersionId"] for i in range(5)]
    marker = s3.delete_object(Bucket=bucket, Key="kept")
    assert marker["DeleteMarker"]
    pages = list(s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix="kept", PaginationConfig={"PageSize": 2}))
    assert [v["VersionId"] for p in pages for v in p.get("Versions", [])] == ids[::-1]
    assert s3.get_object(Bucket=bucket, Key="kept", VersionId=ids[2])["Body"].read() == b"v2"
    s3.delete_object(Bucket=bucket, Key="kept", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"v4"


def empty():
    b = boto3.resource("s3", endpoint_url=os.environ["ENDPOINT"]).Bucket(bucket)
    b.object_versions.delete()
    b.multipart_uploads.all()
    assert not s3.list_object_versions(Bucket=bucket).get("Versions")
    s3.delete_bucket(Bucket=bucket)


for step in carry, keys_that_no_file_system_has, objects, links, versions, empty:
    step()
    print("done:", step.__name__, flush=True)
