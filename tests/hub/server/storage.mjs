// The storage host: signed URLs, basic and multipart uploads, ranged downloads. Like S3 it takes no Authorization header,
// needs a Content-Length, and answers an expired URL with 403.
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { Rejected } from './repository.mjs';

const ZEROS = Buffer.alloc(1 << 20);

export class Storage {
  constructor(folder, settings) {
    this.folder = folder;
    this.settings = settings;
    this.base = '';               // http://localhost:PORT, once it listens
    this.signatures = new Map();  // signature -> { path, expires_at }
    this.uploads = new Map();     // upload id -> { oid, size, chunk_size, parts: Map number -> etag }
    this.objects = new Map();     // sha256 -> bytes
  }

  objectPath(oid) { return path.join(this.folder, oid); }
  link(oid, file, size) {
    fs.symlinkSync(file, this.objectPath(oid));
    this.objects.set(oid, size);
  }
  uploadPath(id) { return path.join(this.folder, `upload-${id}`); }
  sign(target) {
    const signature = randomBytes(12).toString('hex');
    this.signatures.set(signature, { target, expires_at: Date.now() + this.settings.url_ttl_ms });
    return `${this.base}${target}${target.includes('?') ? '&' : '?'}X-Signature=${signature}`;
  }
  expireAll() {
    for (const signature of this.signatures.values()) signature.expires_at = 0;
  }

  // `actions` of the batch API for an object that is not there.
  actionsFor(oid, size) {
    if (size < this.settings.multipart_from_bytes) {
      return { upload: { href: this.sign(`/basic/${oid}?size=${size}`) } };
    }
    const chunk = this.settings.chunk_bytes;
    let id = this.settings.keep_upload_id ? [...this.uploads].find(([, upload]) => upload.oid === oid)?.[0] : undefined;
    if (!id) {
      id = randomBytes(8).toString('hex');
      this.uploads.set(id, { oid, size, chunk_size: chunk, parts: new Map() });
      fs.writeFileSync(this.uploadPath(id), '');
    }
    const header = { chunk_size: String(chunk) };
    for (let number = 1; (number - 1) * chunk < size; ++number) {
      header[String(number).padStart(5, '0')] = this.sign(`/part/${oid}?partNumber=${number}&uploadId=${id}`);
    }
    return { upload: { href: this.sign(`/complete/${oid}?uploadId=${id}`), header } };
  }

  checkSignature(url) {
    const signature = url.searchParams.get('X-Signature');
    const known = this.signatures.get(signature);
    url.searchParams.delete('X-Signature');
    if (!known || known.target !== url.pathname + url.search) throw new Rejected(403, 'SignatureDoesNotMatch');
    if (Date.now() > known.expires_at) throw new Rejected(403, 'AccessDenied: Request has expired');
  }

  async handle(request, url) {
    if (request.headers.authorization) throw new Rejected(400, 'InvalidArgument: Only one auth mechanism allowed');
    this.checkSignature(url);
    const [, kind, oid] = url.pathname.split('/');
    if (request.method === 'PUT' && kind === 'basic') return this.putBasic(request, oid, Number(url.searchParams.get('size')));
    if (request.method === 'PUT' && kind === 'part') return this.putPart(request, url.searchParams);
    if (request.method === 'POST' && kind === 'complete') return this.complete(request, oid, url.searchParams.get('uploadId'));
    if (['GET', 'HEAD'].includes(request.method) && kind === 'store') {
      if (this.settings.ignore_ranges) delete request.headers.range;
      return rangeReply(request, this.objectPath(oid), this.objects.get(oid), { etag: `"${oid}"` });
    }
    throw new Rejected(405, 'MethodNotAllowed');
  }

  // Writes the body at `offset`, leaving holes for zeros. Resolves to its bytes and its hash once all of it came.
  async writeBody(request, file, offset, algorithm) {
    const declared = request.headers['content-length'];
    if (declared === undefined) throw new Rejected(411, 'MissingContentLength');
    const hash = createHash(algorithm);
    const target = await fs.promises.open(file, fs.existsSync(file) ? 'r+' : 'w');
    let n_bytes = 0;
    try {
      for await (const piece of request) {
        hash.update(piece);
        const is_hole = piece.length <= ZEROS.length && piece.equals(ZEROS.subarray(0, piece.length));
        if (!is_hole) await target.write(piece, 0, piece.length, offset + n_bytes);
        n_bytes += piece.length;
      }
      const { size } = await target.stat();
      if (size < offset + n_bytes) await target.truncate(offset + n_bytes);
    } finally {
      await target.close();
    }
    if (n_bytes !== Number(declared)) throw new Rejected(400, 'IncompleteBody');
    return { n_bytes, hash: hash.digest('hex') };
  }

  async putBasic(request, oid, size) {
    const file = this.uploadPath(randomBytes(8).toString('hex'));
    const { n_bytes, hash } = await this.writeBody(request, file, 0, 'sha256');
    if (n_bytes !== size || hash !== oid) {
      fs.rmSync(file);
      throw new Rejected(400, 'BadDigest: the body is not the object that was announced');
    }
    fs.renameSync(file, this.objectPath(oid));
    this.objects.set(oid, size);
    return { status: 200, headers: { etag: `"${hash}"` } };
  }

  async putPart(request, query) {
    const upload = this.uploads.get(query.get('uploadId'));
    if (!upload) throw new Rejected(404, 'NoSuchUpload');
    const number = Number(query.get('partNumber'));
    const offset = (number - 1) * upload.chunk_size;
    const expected = Math.min(upload.chunk_size, upload.size - offset);
    if (Number(request.headers['content-length']) !== expected) throw new Rejected(400, 'InvalidPart: wrong size');
    const { hash } = await this.writeBody(request, this.uploadPath(query.get('uploadId')), offset, 'md5');
    upload.parts.set(number, `"${hash}"`);
    return { status: 200, headers: { etag: `"${hash}"` } };
  }

  async complete(request, oid, id) {
    const upload = this.uploads.get(id);
    const { oid: claimed, parts } = JSON.parse(await bodyText(request));
    if (!upload) throw new Rejected(404, 'NoSuchUpload');
    if (claimed !== oid) throw new Rejected(400, 'the oid is not the one of the upload');
    const n_parts = Math.ceil(upload.size / upload.chunk_size);
    for (let number = 1; number <= n_parts; ++number) {
      const part = parts[number - 1];
      if (part?.partNumber !== number || !part.etag || part.etag !== upload.parts.get(number)) throw new Rejected(400, `InvalidPart: ${number}`);
    }
    if (parts.length !== n_parts) throw new Rejected(400, 'InvalidPart: too many');
    const hash = createHash('sha256');
    for await (const piece of fs.createReadStream(this.uploadPath(id), { highWaterMark: 1 << 20 })) hash.update(piece);
    if (hash.digest('hex') !== oid) throw new Rejected(400, 'BadDigest: the parts are not the object that was announced');
    fs.renameSync(this.uploadPath(id), this.objectPath(oid));
    this.uploads.delete(id);
    this.objects.set(oid, upload.size);
    return { status: 200, headers: {}, json: { success: true } };
  }
}

export async function bodyText(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

// A file, or the range of it that was asked for. `source`: a path, or the bytes themselves.
export function rangeReply(request, source, size, headers) {
  if (size === undefined) throw new Rejected(404, 'NoSuchKey');
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const reply = { status: 200, headers: { ...headers, 'accept-ranges': 'bytes' }, source, first: 0, end: size };
  if (range) {
    reply.first = Number(range[1]);
    reply.end = range[2] === '' ? size : Math.min(size, Number(range[2]) + 1);
    if (reply.first >= size) return { status: 416, headers: { 'content-range': `bytes */${size}` } };
    reply.status = 206;
    reply.headers['content-range'] = `bytes ${reply.first}-${reply.end - 1}/${size}`;
  }
  reply.headers['content-length'] = String(reply.end - reply.first);
  return reply;
}
