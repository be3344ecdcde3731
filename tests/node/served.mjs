// What a served gateway wrote down for its clients: var/serve.json.
import { readFileSync } from "node:fs";

/** Returns addresses, CA and one client; without `clientId` the first that may read records. */
export function readServed(path, clientId) {
  const served = JSON.parse(readFileSync(path, "utf8"));
  const id =
    clientId ??
    Object.keys(served.clients).find((each) =>
      served.clients[each].scopes.includes("credit.records:read"),
    );
  const client = served.clients[id];
  if (client === undefined) {
    throw new Error(`${path} names no client ${id ?? "with scope credit.records:read"}`);
  }
  return { ...served, client: { id, ...client } };
}
