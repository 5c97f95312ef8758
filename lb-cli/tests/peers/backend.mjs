// A backend on node's http2 module: `node backend.mjs NAME DELAY_MS [CERT KEY]`.
// Cleartext with prior knowledge, or TLS where a certificate is given. Prints `listening PORT`.
import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import http2 from "node:http2";

const [name, delay, cert, key] = process.argv.slice(2);
let served = 0;
let sessions = 0;

const chunk = (n) => {
  const bytes = Buffer.alloc(64 * 1024);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 31 + n) & 255;
  return bytes;
};

// `size` bytes, never more in memory than the stream asks for.
const pump = (response, size) => {
  let sent = 0;
  const more = () => {
    while (sent < size) {
      const piece = chunk(sent >> 16).subarray(0, Math.min(65536, size - sent));
      sent += piece.length;
      if (!response.write(piece)) return;
    }
    response.end();
  };
  response.on("drain", more);
  more();
};

const upload = (request, response) => {
  const hash = createHash("sha256");
  let size = 0;
  request.on("data", (piece) => {
    hash.update(piece);
    size += piece.length;
  });
  request.on("end", () => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ size, sha256: hash.digest("hex"), trailers: request.trailers }));
  });
};

const answer = (request, response) => {
  const url = new URL(request.url, "http://backend");
  const number = Number(url.searchParams.get("n") ?? 0);
  response.setHeader("x-backend", name);
  switch (url.pathname.replace(/^\/(good|node)/, "")) {
    case "/echo":
      response.setHeader("content-type", "application/json");
      return response.end(JSON.stringify({ method: request.method, path: request.url, headers: request.headers }));
    case "/trailers":
      response.addTrailers({ "x-checksum": "5d41", "x-last": "yes" });
      return response.end("hello");
    case "/early-hints":
      response.stream.additionalHeaders({ ":status": 103, link: "</style.css>; rel=preload; as=style" });
      return response.end("hinted");
    case "/bytes":
      return pump(response, number);
    case "/file":
      return createReadStream(url.searchParams.get("path")).pipe(response);
    case "/upload":
      return upload(request, response);
    case "/halves":
      response.write(chunk(0));
      return setTimeout(() => response.end(chunk(1)), number);
    case "/reset":
      return response.stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
    case "/reset-mid":
      response.setHeader("content-length", "100000");
      response.write(chunk(0).subarray(0, 1000));
      return setImmediate(() => response.stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR));
    case "/status":
      response.statusCode = number;
      return response.end();
    case "/big-head":
      response.setHeader("x-big", "x".repeat(number));
      return response.end();
    default:
      return response.end(`${name}\n`);
  }
};

const receive = (request, response) => {
  // Questions about the backend itself are not counted: tests ask them past the proxy.
  if (request.url === "/_count") return response.end(String(served));
  if (request.url === "/_sessions") return response.end(String(sessions));
  served += 1;
  if (Number(delay) > 0) setTimeout(() => answer(request, response), Number(delay));
  else answer(request, response);
};

const server = cert
  ? http2.createSecureServer({ cert: readFileSync(cert), key: readFileSync(key) }, receive)
  : http2.createServer(receive);
server.on("session", (session) => {
  sessions += 1;
  session.on("error", () => {});
});
server.on("stream", (stream) => stream.on("error", () => {}));
server.on("sessionError", () => {});
server.listen(0, "127.0.0.1", () => console.log(`listening ${server.address().port}`));
