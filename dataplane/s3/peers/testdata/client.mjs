// Drives @aws-sdk/client-s3 and lib-storage: the files of SRC go into BUCKET and come back
// to BACK. Its node_modules are made by the test.
import assert from "node:assert/strict";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readdir, stat } from "node:fs/promises";
import { createHash } from "node:crypto";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import * as s3 from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const { SRC, BACK, BUCKET, ENDPOINT } = process.env;
const options = { endpoint: ENDPOINT, forcePathStyle: true, maxAttempts: 1 };
const c = new s3.S3Client(options);
const Bucket = BUCKET;
await c.send(new s3.CreateBucketCommand({ Bucket }));

async function refused(code, command) {
  await assert.rejects(c.send(command), (e) => e.name === code || assert.fail(`${e.name}, not ${code}`));
}

async function pooled(items, n, work) {
  const left = items[Symbol.iterator]();
  await Promise.all(Array.from({ length: n }, async () => { for (const item of left) await work(item); }));
}

// Small files by PutObject from streams with a length, large ones by Upload from streams
// without one: both send a trailer with CRC32 by default.
async function carry() {
  const names = (await readdir(SRC, { recursive: true, withFileTypes: true })).filter((d) => d.isFile()).map((d) => path.relative(SRC, path.join(d.parentPath ?? d.path, d.name)));
  await pooled(names, 8, async (Key) => {
    const file = path.join(SRC, Key), Body = createReadStream(file), { size } = await stat(file);
    if (size < 6 << 20) await c.send(new s3.PutObjectCommand({ Bucket, Key, Body, ContentLength: size }));
    else await new Upload({ client: c, params: { Bucket, Key, Body }, partSize: 5 << 20, queueSize: 3 }).done();
  });
  const listed = [];
  for await (const page of s3.paginateListObjectsV2({ client: c, pageSize: 333 }, { Bucket })) listed.push(...page.Contents.map((o) => o.Key));
  assert.deepEqual(new Set(listed), new Set(names));
  assert.equal(listed.length, names.length);
  await pooled(names, 8, async (Key) => {
    const file = path.join(BACK, Key);
    await mkdir(path.dirname(file), { recursive: true });
    const got = await c.send(new s3.GetObjectCommand({ Bucket, Key }));
    await pipeline(got.Body, createWriteStream(file));
  });
}

const algorithms = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"];

async function checksums() {
  const body = Buffer.alloc(70001, "checksum ");
  for (const ChecksumAlgorithm of algorithms) {
    const Key = "sum-" + ChecksumAlgorithm;
    const put = await c.send(new s3.PutObjectCommand({ Bucket, Key, Body: body, ChecksumAlgorithm }));
    const got = await c.send(new s3.GetObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" }));
    assert.deepEqual(Buffer.from(await got.Body.transformToByteArray()), body);
    assert.ok(put["Checksum" + ChecksumAlgorithm], Key);
    assert.equal(got["Checksum" + ChecksumAlgorithm], put["Checksum" + ChecksumAlgorithm]);
    const up = await new Upload({ client: c, params: { Bucket, Key: Key + "-many", Body: Readable.from([Buffer.alloc(5 << 20, "a"), body]), ChecksumAlgorithm }, partSize: 5 << 20 }).done();
    assert.ok(up["Checksum" + ChecksumAlgorithm], Key + "-many");
  }
  await refused("BadDigest", new s3.PutObjectCommand({ Bucket, Key: "wrong", Body: body, ChecksumSHA256: createHash("sha256").update("other").digest("base64") }));
}

async function whenRequired() {
  const plain = new s3.S3Client({ ...options, requestChecksumCalculation: "WHEN_REQUIRED", responseChecksumValidation: "WHEN_REQUIRED" });
  const body = Buffer.alloc(70001, "required ");
  const put = await plain.send(new s3.PutObjectCommand({ Bucket, Key: "required", Body: body }));
  assert.equal(put.ETag, `"${createHash("md5").update(body).digest("hex")}"`);
  const got = await plain.send(new s3.GetObjectCommand({ Bucket, Key: "required", Range: "bytes=-5" }));
  assert.equal(await got.Body.transformToString(), body.subarray(-5).toString());
}

async function conditions() {
  const Key = "once", Body = "x";
  const { ETag } = await c.send(new s3.PutObjectCommand({ Bucket, Key, Body, IfNoneMatch: "*" }));
  await refused("PreconditionFailed", new s3.PutObjectCommand({ Bucket, Key, Body, IfNoneMatch: "*" }));
  await refused("PreconditionFailed", new s3.PutObjectCommand({ Bucket, Key, Body, IfMatch: '"0"' }));
  await c.send(new s3.PutObjectCommand({ Bucket, Key, Body, IfMatch: ETag }));
  await refused("NoSuchKey", new s3.GetObjectCommand({ Bucket, Key: "nothing" }));
  await refused("NoSuchBucket", new s3.ListObjectsV2Command({ Bucket: Bucket + "-other" }));
}

async function links() {
  const Key = "dir with space/a+b%20ü", Body = "by link";
  const put = await fetch(await getSignedUrl(c, new s3.PutObjectCommand({ Bucket, Key })), { method: "PUT", body: Body });
  assert.equal(put.status, 200);
  const got = await fetch(await getSignedUrl(c, new s3.GetObjectCommand({ Bucket, Key })));
  assert.equal(await got.text(), Body);
}

async function givenUp() {
  const up = new Upload({ client: c, params: { Bucket, Key: "given-up", Body: Readable.from((function* () { for (let i = 0; i < 40; i++) yield Buffer.alloc(1 << 20); })()) }, partSize: 5 << 20, queueSize: 2 });
  up.on("httpUploadProgress", (p) => { if (p.part === 2) up.abort(); });
  await assert.rejects(up.done(), { name: "AbortError" });
  await refused("NoSuchKey", new s3.GetObjectCommand({ Bucket, Key: "given-up" }));
}

async function empty() {
  for await (const page of s3.paginateListObjectsV2({ client: c }, { Bucket })) {
    const { Errors } = await c.send(new s3.DeleteObjectsCommand({ Bucket, Delete: { Objects: page.Contents.map(({ Key }) => ({ Key })), Quiet: true } }));
    assert.deepEqual(Errors ?? [], []);
  }
  const { Uploads } = await c.send(new s3.ListMultipartUploadsCommand({ Bucket }));
  for (const { Key, UploadId } of Uploads ?? []) {
    // Upload tells of its end before the abort that it sends is answered: that may be first.
    await c.send(new s3.AbortMultipartUploadCommand({ Bucket, Key, UploadId })).catch((e) => assert.equal(e.name, "NoSuchUpload"));
  }
  await c.send(new s3.DeleteBucketCommand({ Bucket }));
}

for (const step of [carry, checksums, whenRequired, conditions, links, givenUp, empty]) {
  await step();
  console.log("done:", step.name);
}
