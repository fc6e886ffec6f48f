// The Hub's own client, as a program.   usage: node official_client.mjs FOLDER_WITH_NODE_MODULES ENDPOINT TOKEN ACTION ARGS…
//   upload REPO FILE…              creates the repository if needed, commits the files under their names, prints the commit
//   upload-pr REPO FILE…           the same as a pull request
//   upload-to REPO BRANCH FILE…    the same to a branch
//   branch REPO BRANCH             creates the branch from main
//   download REPO DIR [REVISION]   a snapshot of main, or of that, into the cache DIR, prints its folder
//   list REPO REVISION             prints the files as JSON
import { openAsBlob } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [, , folder, hubUrl, accessToken, action, name, ...args] = process.argv;
const hub = await import(pathToFileURL(join(folder, 'node_modules/@huggingface/hub/dist/index.mjs')).href);
const common = { hubUrl, accessToken, repo: { type: 'model', name } };

if (['upload', 'upload-pr', 'upload-to'].includes(action)) {
  const branch = action === 'upload-to' ? args.shift() : undefined;
  if (!(await hub.repoExists(common))) await hub.createRepo(common);
  const files = await Promise.all(args.map(async (file) => ({ path: basename(file), content: await openAsBlob(file) })));
  const result = await hub.uploadFiles({ ...common, files, branch, useXet: false, isPullRequest: action === 'upload-pr', commitTitle: 'by the official client' });
  console.log(result.commit.oid);
} else if (action === 'download') {
  console.log(await hub.snapshotDownload({ ...common, cacheDir: args[0], revision: args[1] }));
} else if (action === 'branch') {
  await hub.createBranch({ ...common, branch: args[0] });
} else if (action === 'list') {
  const files = [];
  for await (const file of hub.listFiles({ ...common, revision: args[0], recursive: true })) files.push({ path: file.path, size: file.size, oid: file.lfs?.oid ?? file.oid });
  console.log(JSON.stringify(files));
} else {
  throw new Error(`unknown action ${action}`);
}
