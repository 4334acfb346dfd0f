// Tokens by the official client library for Node; each must open the API. Arguments: module folder, base URL, client, secret, activity id, and
// for people: client, name, password.
import { createRequire } from "node:module";

const [modules, base, client, secret, activity, desk, name, password] = process.argv.slice(2);
const { ConfidentialClientApplication, PublicClientApplication } = createRequire(modules + "/")("@azure/msal-node");

async function use(name, options) {
  const app = new ConfidentialClientApplication({ auth: { clientId: client, clientSecret: secret, ...options } });
  const token = await app.acquireTokenByClientCredential({ scopes: [`${base}/.default`] });
  await open(name, token);
}

async function open(name, token) {
  const answer = await fetch(`${base}/api/connector/dequeue/${activity}`, { headers: { Authorization: `Bearer ${token.accessToken}` } });
  if (answer.status !== 204) throw new Error(`${name}: ${answer.status} ${await answer.text()}`);
  console.log(name);
}

const host = new URL(base).host;
for (const tenant of ["contoso.com", "6d31e09f-0249-459f-94f0-aad9c2c47b64"]) {
  await use(`msal-node ${tenant}`, { authority: `${base}/${tenant}`, knownAuthorities: [host] });
}
await use("msal-node oidc", { authority: `${base}/contoso.com/v2.0`, knownAuthorities: [host], protocolMode: "OIDC" });
const person = new PublicClientApplication({ auth: { clientId: desk, authority: `${base}/contoso.com`, knownAuthorities: [host] } });
await open("msal-node password", await person.acquireTokenByUsernamePassword({ scopes: [`${base}/.default`], username: name, password }));
console.log("done");
