"""Tokens by the official client libraries for Python, old and new; each must open the API. Arguments: base URL, authority's certificate, client, secret, activity id,
and for people: client, name, password."""
import ssl
import sys
import urllib.request

import adal
import msal

base, ca, client, secret, activity, desk, name, password = sys.argv[1:]
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
# People: a name and a password, a token kept fresh, and what a wrong password is told.
old = adal.AuthenticationContext(f"{base}/contoso.com", validate_authority=False, verify_ssl=ca)
given = old.acquire_token_with_username_password(base, name, password, desk)
use("adal password", given["accessToken"])
use("adal refresh", old.acquire_token_with_refresh_token(given["refreshToken"], desk, base)["accessToken"])
# The library asks for the realm of a person on port 443, whatever the authority's is; of AD FS it does not ask.
public = msal.PublicClientApplication(desk, authority=f"{base}/adfs", instance_discovery=False, verify=ca)
of("msal password", public.acquire_token_by_username_password(name, password, [f"{base}/.default"]))
silent = public.acquire_token_silent([f"{base}/.default"], account=public.get_accounts()[0], force_refresh=True)
assert "access_token" in silent, silent
wrong = public.acquire_token_by_username_password(name, "wrong", [f"{base}/.default"])
assert wrong.get("error") == "invalid_grant", wrong
print("done")
