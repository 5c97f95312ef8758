// A client on node's http2 module: `node client.mjs URL REQUESTS`, REQUESTS being a JSON list of
// { method, path, headers, body_bytes, trailers }. All go out at once on one connection; prints a
// JSON list of { status, headers, informational, trailers, size, sha256, error } in the same order.
import { createHash } from "node:crypto";
import http2 from "node:http2";

const [url, requests] = process.argv.slice(2);
const session = http2.connect(url, { rejectUnauthorized: false });
session.setMaxListeners(1000);
session.on("error", () => {});

const plain = (headers) => Object.fromEntries(Object.entries(headers ?? {}));

const send = ({ method = "GET", path, headers = {}, body_bytes = 0, trailers = null }) =>
  new Promise((resolve) => {
    const result = { status: 0, headers: {}, informational: [], trailers: {}, size: 0, sha256: "", sent_sha256: "", error: null };
    const hash = createHash("sha256");
    const fields = { ":method": method, ":path": path, ...headers };
    const bare = body_bytes === 0 && !trailers;
    const stream = session.request(fields, { endStream: bare, waitForTrailers: trailers !== null });
    stream.on("headers", (head) => result.informational.push(plain(head)));
    stream.on("response", (head) => Object.assign(result, { status: head[":status"], headers: plain(head) }));
    stream.on("trailers", (fields) => (result.trailers = plain(fields)));
    stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    stream.on("data", (piece) => {
      hash.update(piece);
      result.size += piece.length;
    });
    stream.on("error", (error) => (result.error = error.message));
    stream.on("close", () => {
      if (stream.rstCode !== 0 && !result.error) result.error = `reset ${stream.rstCode}`;
      result.sha256 = hash.digest("hex");
      resolve(result);
    });
    if (!bare) {
      const body = Buffer.alloc(body_bytes, "body of the request ");
      result.sent_sha256 = createHash("sha256").update(body).digest("hex");
      stream.end(body);
    }
  });

const results = await Promise.all(JSON.parse(requests).map(send));
console.log(JSON.stringify(results));
session.destroy();
