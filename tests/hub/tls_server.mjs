// An HTTPS server whose certificate nobody vouches for.   usage: node tls_server.mjs KEY CERTIFICATE
// Prints its address, and a line for every request that comes.
import fs from 'node:fs';
import https from 'node:https';

const [, , key, certificate] = process.argv;
const server = https.createServer({ key: fs.readFileSync(key), cert: fs.readFileSync(certificate) }, (request, response) => {
  console.log(request.url);
  response.end('{}');
});
server.listen(0, '127.0.0.1', () => console.log(`https://127.0.0.1:${server.address().port}`));
