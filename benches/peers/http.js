// Node's http: one fixed response. The argument is its length in bytes.
const body = 'x'.repeat(Number(process.argv[2]));
const server = require('http').createServer((request, response) => response.end(body));
// Connections stay open while other servers are measured.
server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ http: `http://127.0.0.1:${server.address().port}` })));
// Ends with the benchmark program, which holds the other end of standard input.
process.stdin.resume().on('end', () => process.exit());
