// A repository as the Hub shows it: refs, commits, and the files of each commit.
import { createHash } from 'node:crypto';

export const sha1 = (...pieces) => pieces.reduce((hash, piece) => hash.update(piece), createHash('sha1')).digest('hex');
export const blobOid = (content) => sha1(`blob ${content.length}\0`, content);

// What git stores for a large file.
export function pointerOf(oid, size) {
  return Buffer.from(`version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${size}\n`);
}

export class Rejected extends Error {
  constructor(status, message, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const GIT_ATTRIBUTES = Buffer.from('*.gguf filter=lfs diff=lfs merge=lfs -text\n');

export class Repository {
  constructor(name, isPrivate) {
    this.name = name;
    this.isPrivate = isPrivate;
    this.refs = new Map();      // "main", "refs/pr/1", a tag -> commit oid
    this.tags = new Set();
    this.commits = new Map();   // oid -> { oid, parent, title, description, date, files: Map path -> entry }
    this.n_pull_requests = 0;
    this.addCommit('main', undefined, 'initial commit', '', new Map([['.gitattributes', regularFile('.gitattributes', GIT_ATTRIBUTES)]]));
  }

  addCommit(ref, parent, title, description, files) {
    const date = new Date().toISOString();
    const oid = sha1(parent ?? '', title, date, String(this.commits.size), this.name, ...[...files.values()].map((file) => file.path + file.oid));
    this.commits.set(oid, { oid, parent, title, description, date, files });
    this.refs.set(ref, oid);
    return oid;
  }

  at(revision) {
    const commit = this.commits.get(this.refs.get(revision) ?? revision);
    if (!commit) throw new Rejected(404, `Invalid rev id: ${revision}`, 'RevisionNotFound');
    return commit;
  }

  // Applies the operations of a commit. `storedSize(oid)`: bytes of a large file that was uploaded to this repository.
  commit(revision, { header, operations, createPr, storedSize }) {
    const base = this.at(revision);
    if (!this.refs.has(revision) || this.tags.has(revision)) throw new Rejected(400, `${revision} is not a branch`);
    if (header.parentCommit && header.parentCommit !== base.oid) {
      throw new Rejected(412, 'A commit has happened since. Please refresh and try again.');
    }
    const files = new Map(base.files);
    for (const { key, value } of operations) {
      if (key === 'file') {
        const content = Buffer.from(value.content, 'base64');
        if (value.encoding !== 'base64' || content.toString('base64') !== value.content) throw new Rejected(400, `${value.path}: not base64`);
        files.set(value.path, regularFile(value.path, content));
      } else if (key === 'lfsFile') {
        if (value.algo !== 'sha256') throw new Rejected(400, `unknown algo ${value.algo}`);
        if (storedSize(value.oid) === undefined) {
          throw new Rejected(400, `LFS pointer pointed to a file that does not exist: ${value.path}`);
        }
        if (storedSize(value.oid) !== value.size) throw new Rejected(400, `${value.path}: the size is not that of the object`);
        files.set(value.path, largeFile(value.path, value.oid, value.size));
      } else if (key === 'deletedFile') {
        if (!files.delete(value.path)) throw new Rejected(404, `${value.path} is not there`, 'EntryNotFound');
      } else {
        throw new Rejected(400, `unknown operation ${key}`);
      }
    }
    const ref = createPr ? `refs/pr/${++this.n_pull_requests}` : revision;
    return { oid: this.addCommit(ref, base.oid, header.summary, header.description ?? '', files), pullRequest: createPr ? this.n_pull_requests : undefined };
  }
}

function regularFile(path, content) {
  return { path, oid: blobOid(content), size: content.length, content };
}

function largeFile(path, oid, size) {
  const pointer = pointerOf(oid, size);
  return { path, oid: blobOid(pointer), size, lfs: { oid, size, pointerSize: pointer.length } };
}
