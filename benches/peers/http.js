// Node's http: one fixed answer of so many bytes.
const body = 'x'.repeat(Number(process.argv[2]));
const server = require('http').createServer((request, response) => response.end(body));
// Connections wait while others are measured.
server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ http: `http://127.0.0.1:${server.address().port}` })));
// Nobody measures any more.
process.stdin.resume().on('end', () => process.exit());
