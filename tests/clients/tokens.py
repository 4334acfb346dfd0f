"""Tokens by the official client libraries for Python, old and new; each must open the API. Arguments: base URL, authority's certificate, client, secret, activity id."""
import ssl
import sys
import urllib.request

import adal
import msal

base, ca, client, secret, activity = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)


def use(name, token):
    request = urllib.request.Request(f"{base}/api/connector/dequeue/{activity}", headers={"Authorization": f"Bearer {token}"})
    status = urllib.request.urlopen(request, context=context).status
    assert status == 204, (name, status)
    print(name)


def of(name, answer):
    assert "access_token" in answer, (name, answer)
    use(name, answer["access_token"])


for tenant in ["contoso.com", "6d31e09f-0249-459f-94f0-aad9c2c47b64", "adfs"]:
    authority = f"{base}/{tenant}"
    for scope in [f"{base}/.default", f"{base}//.default"]:
        app = msal.ConfidentialClientApplication(client, authority=authority, client_credential=secret, instance_discovery=False, verify=ca)
        of(f"msal {tenant} {scope}", app.acquire_token_for_client([scope]))
    old = adal.AuthenticationContext(authority, validate_authority=False, verify_ssl=ca)
    use(f"adal {tenant}", old.acquire_token_with_client_credentials(base, client, secret)["accessToken"])

validating = msal.ConfidentialClientApplication(
    client, authority=f"{base}/contoso.com", client_credential=secret, validate_authority=False, verify=ca
)
of("msal without validation", validating.acquire_token_for_client([f"{base}/.default"]))
oidc = msal.ConfidentialClientApplication(client, oidc_authority=f"{base}/contoso.com/v2.0", client_credential=secret, verify=ca)
of("msal oidc", oidc.acquire_token_for_client([f"{base}/.default"]))

wrong = msal.ConfidentialClientApplication(
    client, authority=f"{base}/contoso.com", client_credential="wrong", instance_discovery=False, verify=ca
).acquire_token_for_client([f"{base}/.default"])
assert wrong.get("error") == "invalid_client", wrong
print("done")
