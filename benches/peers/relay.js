// Node's ws: forwards between /hub/N and /app/N, or replies at /echo. Every message is parsed.
const { WebSocketServer } = require('ws');
const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
const ends = new Map();
server.on('listening', () => console.log(JSON.stringify({ http: `http://127.0.0.1:${server.address().port}` })));
server.on('connection', (socket, request) => {
  const [, role, number] = request.url.split('/');
  if (role === 'echo') {
    socket.on('message', (data) => {
      const call = JSON.parse(data);
      socket.send(JSON.stringify({ id: call.id, method: call.method, error: null, result: {} }));
    });
    return;
  }
  if (!ends.has(number)) ends.set(number, { hub: null, apps: [] });
  const pair = ends.get(number);
  if (role === 'hub') pair.hub = socket; else pair.apps.push(socket);
  socket.on('message', (data) => {
    JSON.parse(data);
    if (role === 'hub') for (const app of pair.apps) app.send(data, { binary: false });
    else pair.hub?.send(data, { binary: false });
  });
});
// Ends with the benchmark program, which holds the other end of standard input.
process.stdin.resume().on('end', () => process.exit());
