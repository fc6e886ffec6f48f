// The calls of the Hub that the official clients make: tokens, repositories, preupload, LFS, commits, trees, files.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { Rejected, Repository } from './repository.mjs';
import { bodyText, rangeReply } from './storage.mjs';

const LFS_JSON = { 'content-type': 'application/vnd.git-lfs+json' };

export class HubApi {
  constructor(storage, settings) {
    this.storage = storage;
    this.settings = settings;
    this.base = '';
    this.repositories = new Map();
    this.linked = new Map();  // repository -> large files uploaded to it
  }

  // --- who may do what

  user(request) {
    const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    const user = given && this.settings.tokens[given];
    if (given && !user) throw new Rejected(401, 'Invalid credentials in Authorization header');
    return user || undefined;
  }
  readable(request, name) {
    const user = this.user(request);
    const repository = this.repositories.get(name);
    const hidden = repository?.isPrivate && user?.name !== name.split('/')[0];
    if (!repository || hidden) throw new Rejected(user ? 404 : 401, 'Repository not found', 'RepoNotFound');
    return repository;
  }
  writable(request, name) {
    const user = this.user(request);
    if (!user) throw new Rejected(401, 'Invalid username or password.');
    if (user.role !== 'write' || user.name !== name.split('/')[0]) throw new Rejected(403, "You don't have the rights to do this");
    return this.readable(request, name);
  }

  // A repository that is there from the start. Its files stay where they are.
  preload(name, files) {
    const repository = new Repository(name, this.settings.private.includes(name));
    const operations = Object.entries(files).map(([path, file]) => {
      const size = fs.statSync(file).size;
      const oid = createHash('sha256').update(file).digest('hex');  // of the name: nobody checks it, and files are large
      this.storage.link(oid, file, size);
      return { key: 'lfsFile', value: { path, algo: 'sha256', oid, size } };
    });
    repository.commit('main', { header: { summary: 'preload' }, operations, storedSize: (oid) => this.storage.objects.get(oid) });
    this.repositories.set(name, repository);
  }

  // --- requests

  async handle(request, url) {
    const { pathname: path } = url;
    let match;
    if (path === '/api/whoami-v2') return this.whoami(request);
    if (path === '/api/repos/create' && request.method === 'POST') return this.create(request);
    if (path === '/api/validate-yaml' && request.method === 'POST') return this.validateYaml(request);
    if ((match = /^\/(.+)\.git\/info\/lfs\/objects\/batch$/.exec(path))) return this.batch(request, match[1]);
    if ((match = /^\/(.+)\.git\/info\/lfs\/verify$/.exec(path))) return this.verify(request, match[1]);
    if ((match = /^\/api\/models\/([^/]+\/[^/]+)(?:\/([^/]+)(?:\/(.+))?)?$/.exec(path))) {
      return this.repositoryCall(request, url, match[1], match[2], match[3] && decodeURIComponent(match[3]));
    }
    if ((match = /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path))) {
      return this.resolve(request, match[1], decodeURIComponent(match[2]), decodeURIComponent(match[3]));
    }
    throw new Rejected(404, `no such page: ${path}`);
  }

  repositoryCall(request, url, name, call, revision) {
    const post = request.method === 'POST';
    if (call === undefined || call === 'revision') return this.info(request, name, revision ?? 'main');
    if (call === 'auth-check') return this.writable(request, name) && { status: 200, json: {} };
    if (call === 'preupload' && post) return this.preupload(request, name, revision, url.searchParams);
    if (call === 'commit' && post) return this.commit(request, name, revision, url.searchParams);
    if (call === 'tag' && post) return this.tag(request, name, revision);
    if (call === 'branch' && post) return this.branch(request, name, revision);
    if (call === 'tree') return this.tree(request, url, name, revision);
    if (call === 'paths-info' && post) return this.pathsInfo(request, name, revision);
    if (call === 'refs') return this.refs(request, name);
    throw new Rejected(404, `no such call: ${call}`);
  }

  whoami(request) {
    const user = this.user(request);
    if (!user) throw new Rejected(401, 'Invalid username or password.');
    return { json: { type: 'user', name: user.name, orgs: [], auth: { type: 'access_token', accessToken: { displayName: 'test', role: user.role } } } };
  }

  async create(request) {
    const body = JSON.parse(await bodyText(request));
    const user = this.user(request);
    if (!user) throw new Rejected(401, 'Invalid username or password.');
    const name = `${body.organization ?? user.name}/${body.name}`;
    if (user.role !== 'write' || name.split('/')[0] !== user.name) throw new Rejected(403, "You don't have the rights to create a model under this namespace");
    if (this.repositories.has(name)) return { status: 409, json: { error: 'You already created this model repo', url: `${this.base}/${name}` } };
    this.repositories.set(name, new Repository(name, body.private === true || body.visibility === 'private'));
    return { json: { url: `${this.base}/${name}`, name, id: name } };
  }

  async validateYaml(request) {
    const { content, repoType } = JSON.parse(await bodyText(request));
    const errors = this.settings.yaml_errors.map((message) => ({ message }));
    if (repoType !== 'model' || !/^---\r?\n[\s\S]*?\r?\n---(\r?\n|$)/.test(content)) errors.push({ message: 'no YAML metadata' });
    return errors.length > 0 ? { status: 400, json: { errors, warnings: [] } } : { json: { errors, warnings: this.settings.yaml_warnings.map((message) => ({ message })) } };
  }

  info(request, name, revision) {
    const repository = this.readable(request, name);
    const commit = repository.at(revision);
    return { json: { _id: '0', id: name, modelId: name, private: repository.isPrivate, gated: false, disabled: false, downloads: 0, likes: 0, tags: [], createdAt: commit.date, lastModified: commit.date, sha: commit.oid, siblings: [...commit.files.keys()].map((rfilename) => ({ rfilename })) } };
  }

  async preupload(request, name, revision, query) {
    const repository = query.get('create_pr') ? this.readable(request, name) : this.writable(request, name);
    const commit = repository.at(revision);
    const { files } = JSON.parse(await bodyText(request));
    if (files.length > 256) throw new Rejected(400, 'too many files');
    return {
      json: {
        files: files.map(({ path, size, sample }) => {
          if (Buffer.from(sample, 'base64').length !== Math.min(size, 512)) throw new Rejected(400, `${path}: sample is not its first 512 bytes`);
          const automatic = path.endsWith('.gguf') || size >= this.settings.lfs_from_bytes ? 'lfs' : 'regular';
          const there = commit.files.get(path);
          return { path, uploadMode: this.settings.upload_modes[path] ?? automatic, shouldIgnore: this.settings.ignored.includes(path), ...(there && { oid: there.lfs?.oid ?? there.oid }) };
        }),
      },
    };
  }

  async batch(request, name) {
    this.writable(request, name);
    const body = JSON.parse(await bodyText(request));
    const wrong = !request.headers.accept?.includes('git-lfs+json') || body.operation !== 'upload' || !['sha256', 'sha_256'].includes(body.hash_algo);
    if (wrong) throw new Rejected(422, 'not a batch request for uploads');
    if (!this.linked.has(name)) this.linked.set(name, new Set());
    const objects = body.objects.map(({ oid, size }) => {
      if (!/^[0-9a-f]{64}$/.test(oid)) return { oid, size, error: { code: 422, message: 'Validation error' } };
      const stored = this.storage.objects.get(oid);
      if (stored !== undefined && stored !== size) return { oid, size, error: { code: 422, message: 'the size is not that of the object' } };
      this.linked.get(name).add(oid);
      if (stored !== undefined) return { oid, size };
      const actions = this.storage.actionsFor(oid, size);
      actions.verify = { href: `${this.base}/${name}.git/info/lfs/verify` };
      return { oid, size, authenticated: true, actions };
    });
    const multipart = objects.some((object) => object.actions?.upload.header?.chunk_size);
    return { headers: LFS_JSON, json: { transfer: multipart ? 'multipart' : 'basic', objects } };
  }

  async verify(request, name) {
    this.writable(request, name);
    const { oid, size } = JSON.parse(await bodyText(request));
    if (this.storage.objects.get(oid) !== size) throw new Rejected(404, 'the object is not there, or has another size');
    return { headers: LFS_JSON, json: {} };
  }

  async commit(request, name, revision, query) {
    const createPr = Boolean(query.get('create_pr'));
    const repository = createPr ? this.readable(request, name) : this.writable(request, name);
    const lines = (await bodyText(request)).split('\n').filter((line) => line !== '').map((line) => JSON.parse(line));
    const [header, ...operations] = lines;
    if (!request.headers['content-type']?.startsWith('application/x-ndjson') || header?.key !== 'header' || !header.value.summary) throw new Rejected(400, 'not a commit');
    const storedSize = (oid) => (this.linked.get(name)?.has(oid) ? this.storage.objects.get(oid) : undefined);
    const { oid, pullRequest } = repository.commit(revision, { header: header.value, operations, createPr, storedSize });
    return { json: { success: true, commitOid: oid, commitUrl: `${this.base}/${name}/commit/${oid}`, hookOutput: '', ...(pullRequest && { pullRequestUrl: `${this.base}/${name}/discussions/${pullRequest}` }) } };
  }

  async tag(request, name, revision) {
    const repository = this.writable(request, name);
    const { tag } = JSON.parse(await bodyText(request));
    if (repository.refs.has(tag)) throw new Rejected(409, 'Tag reference exists already');
    repository.refs.set(tag, repository.at(revision).oid);
    repository.tags.add(tag);
    return { json: {} };
  }

  async branch(request, name, branch) {
    const repository = this.writable(request, name);
    const { startingPoint, emptyBranch, overwrite } = JSON.parse(await bodyText(request));
    if (emptyBranch) throw new Rejected(400, 'empty branches are not known here');
    if (branch.startsWith('refs/') || /[\s~^:?*[\\]|\.\./.test(branch)) throw new Rejected(400, `Invalid reference name: ${branch}`);
    if (repository.refs.has(branch) && !overwrite) throw new Rejected(409, 'Reference already exists');
    repository.refs.set(branch, repository.at(startingPoint ?? 'main').oid);
    return { json: {} };
  }

  refs(request, name) {
    const repository = this.readable(request, name);
    const of = (filter) => [...repository.refs].filter(([ref]) => filter(ref)).map(([ref, oid]) => ({ name: ref, ref: ref.startsWith('refs/') ? ref : `refs/heads/${ref}`, targetCommit: oid }));
    const isPr = (ref) => ref.startsWith('refs/pr/');
    return { json: { branches: of((ref) => !isPr(ref) && !repository.tags.has(ref)), converts: [], tags: of((ref) => repository.tags.has(ref)), pullRequests: of(isPr) } };
  }

  entry(file, commit, expand) {
    const { path, oid, size, lfs } = file;
    return { type: 'file', path, oid, size, ...(lfs && { lfs }), ...(expand && { lastCommit: { id: commit.oid, title: commit.title, date: commit.date }, securityFileStatus: { status: 'unscanned' } }) };
  }

  tree(request, url, name, revision) {
    const commit = this.readable(request, name).at(revision);
    const folders = new Set();
    for (const path of commit.files.keys()) {
      for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) folders.add(path.slice(0, at));
    }
    const entries = [...[...folders].map((path) => ({ type: 'directory', path, oid: '0'.repeat(40), size: 0 })),
      ...[...commit.files.values()].map((file) => this.entry(file, commit, url.searchParams.get('expand') === 'true'))];
    const first = Number(url.searchParams.get('cursor') ?? 0);
    const page = entries.slice(first, first + this.settings.page_size);
    const headers = {};
    if (first + page.length < entries.length) {
      const next = new URL(url.pathname + url.search, this.base);
      next.searchParams.set('cursor', String(first + page.length));
      headers.link = `<${next}>; rel="next"`;
    }
    return { headers, json: page };
  }

  async pathsInfo(request, name, revision) {
    const commit = this.readable(request, name).at(revision);
    const { paths, expand } = JSON.parse(await bodyText(request));
    return { json: paths.flatMap((path) => (commit.files.has(path) ? [this.entry(commit.files.get(path), commit, expand)] : [])) };
  }

  resolve(request, name, revision, path) {
    if (!['GET', 'HEAD'].includes(request.method)) throw new Rejected(405, 'Method not allowed');
    const renamed = this.settings.renamed[name];
    if (renamed) return { status: 307, headers: { location: `/${renamed}/resolve/${encodeURIComponent(revision)}/${path}` } };
    const commit = this.readable(request, name).at(revision);
    const file = commit.files.get(path);
    if (!file) throw new Rejected(404, 'Entry not found', 'EntryNotFound');
    const headers = { 'x-repo-commit': commit.oid };
    if (!file.lfs) return rangeReply(request, file.content, file.size, { ...headers, etag: `"${file.oid}"` });
    return { status: 302, headers: { ...headers, 'x-linked-etag': `"${file.lfs.oid}"`, 'x-linked-size': String(file.size), location: this.storage.sign(`/store/${file.lfs.oid}`) } };
  }
}
