"""What a registry answers.

Sources: distribution ``registry/api/errcode``; containerd ``core/remotes/docker``; containers/image
``docker/errors.go``; and the bodies of Docker Hub, Quay, GHCR, Google, Amazon and Azure registries, GitLab, Harbor,
Artifactory, Nexus and Red Hat.
"""

from __future__ import annotations

from scanner.pull_failure.cause import Cause
from scanner.pull_failure.rule import rule, status

_REFUSED = r"401|403"

RATE = (
    rule(
        Cause.RATE_LIMIT,
        r"toomanyrequests",
        r"too[ _]many[ _]requests",
        r"\brate limit|pull limit|ratelimit",
        r"rate exceeded|data limit exceeded|exceeded your .{0,40}(?:quota|limit)",
        r"quota exceeded for|exceeded .{0,40}quota metric|quota metric",
        r"throttl(?:ed|ing)",
        status("429"),
        r"\bstatus 429\b",
        r"resource ?exhausted.{0,80}(?:quota|rate|limit)",
    ),
)

BLOCKED = (
    # Docker Hub (export control), Azure's and Google's network rules, CDNs; a registry sends no HTML page.
    rule(
        Cause.GEO_OR_IP_BLOCK,
        r"export control|embargo|sanction",
        r"not available in your (?:location|country|region)",
        r"your (?:location|country|region)\b",
        r"unavailable for legal reasons",
        status("451"),
        r"is not allowed access|not allowed to access from|firewall",
        r"\b(?:client |source )?ip (?:address )?\S{0,60} ?(?:is )?(?:not|blocked|denied|forbidden)",
        r"ip[ -](?:restriction|allow ?list|white ?list|block)|white-?listed|allow-?listed",
        r"prohibited by organization's policy|vpc ?service ?controls|vpc_service|security_policy_violated",
        r"public network access|network (?:access )?rules|private endpoint",
        r"request blocked|request could not be satisfied|blocked by (?!.{0,20}scan)",
        r"<!doctype html.{0,200}(?:forbidden|denied|blocked)|403 response body: invalid character '<'",
        r"denied: <html|403 forbidden</",
        also=(Cause.AUTH_DENIED,),
    ),
    rule(
        Cause.GEO_OR_IP_BLOCK,
        r"<(?:manifest|blob|ping)-url>\"?: forbidden\W*$",
        also=(Cause.AUTH_DENIED, Cause.PROXY),
    ),
)

SERVER = (
    rule(
        Cause.REGISTRY_ERROR,
        r"internal server error|internal_server_error",
        r"bad gateway|service unavailable|gateway time-?out",
        r"did not include a token",
        r"no realm specified|missing realm|invalid token auth challenge|malformed (?:auth|challenge|www-authenticate)",
        r"unable to decode token response|decoding token|token response",
        r"can't talk to a v1",
        r"unknown: unknown error|unknown: internal",
        r"\bunavailable: |storage backend|read-?only mode|maintenance",
        r"stopped after \d+ redirects|missing location",
    ),
    rule(
        Cause.REGISTRY_ERROR,
        r"supported auth scheme",
        also=(Cause.AUTH_MISSING, Cause.AUTH_DENIED),
    ),
)

# Asked before anything else: texts that hold the words of another cause.
PECULIAR = (
    # Quay keeps deleted tags in a "time machine"; "expired" is the tag here, not the token.
    rule(Cause.NOT_FOUND, r"was deleted or has expired", r"revive via time machine"),
    # Red Hat's, of images that are only to be had by an explicit tag.
    rule(Cause.NOT_FOUND, r"does not use the \W?\w{1,40}\W? tag"),
    # A web server, a login page or a captive portal in the registry's place.
    rule(Cause.REGISTRY_ERROR, r"media type text/html|unknown type text/html"),
    # Harbor refuses by its own policy, whoever asks.
    rule(Cause.REGISTRY_ERROR, r"not signed in notary|cannot be pulled due to configured policy|severity of vulnerab"),
    rule(Cause.REGISTRY_ERROR, r"requesting bearer token: .{0,60}404", also=(Cause.NOT_FOUND,)),
    rule(Cause.REGISTRY_ERROR, r"pinging \w{1,9} registry \S{1,300}: [a-z :]{0,60}404", also=(Cause.NOT_FOUND,)),
)

AUTH = (
    rule(
        Cause.AUTH_EXPIRED,
        r"token (?:has |have |is |was )?(?:already )?expired",
        r"expired ?token|token_expired|expired_token",
        r"(?:credentials?|password|key|secret|account|license|login|session|pat) (?:has |have |is |are |was )?expired",
        r"expired (?:credentials?|password|access token|api key|personal access token)",
        r"security token included in the request is expired|token failed verification: expired",
        r"aadsts(?:7000222|700082|50173)|keys .{0,80}are expired",
        r"token (?:is )?(?:no longer valid|past its)|jwt .{0,20}expired|token used after",
        r"reauthenticate",
        also=(Cause.AUTH_DENIED,),
        used=True,
    ),
    # Words that only follow a credential that was sent.
    rule(
        Cause.AUTH_DENIED,
        r"incorrect username or password",
        r"(?<!may have )(?:incorrect|wrong|bad|invalid|unknown)[ _](?:user ?name|user|login|password|credentials?|"
        r"api ?key|access token|personal access token|robot)\b(?! ?/)",
        r"credentials? (?:is |are |you )?(?:provided )?(?:is |are )?(?:invalid|incorrect|wrong|not valid|rejected)",
        r"password is invalid|password (?:is )?incorrect|password does not match",
        r"security token included in the request|token failed verification|authorization token is invalid",
        r"must log in with a personal access token|email must be verified",
        r"could not be authenticated by|http basic: access denied",
        r"bad_credential|invalid_grant|invalid_client|invalid_token|invalid token|token is (?:invalid|"
        r"not valid|malformed|revoked)",
        r"cannot be authenticated with the token|could not find robot",
        r"permission_denied: |insufficient_permission",
        r"denied: denied",
        r"token (?:provided )?does not match|requires? .{0,40}scope|read[:_]packages?",
        r"not authorized to perform: ",
        r"account .{0,40}(?:locked|suspended|disabled|blocked)|user .{0,80}(?:locked|suspended|disabled|"
        r"blocked|not active)",
        r"two-factor|2fa|sso .{0,40}(?:authori[sz]|enforce)|saml",
        r"failed to fetch oauth token.{0,80}" + status("40[0134]"),
        r"has been revoked|revoked token",
        r"aadsts\d|authentication failed for|login failed|login attempt",
        # Most registries refuse an expired credential in the same words as a wrong one.
        also=(Cause.AUTH_EXPIRED,),
        used=True,
    ),
    rule(
        Cause.AUTH_MISSING,
        r"failed to fetch anonymous token.{0,80}" + status("40[0134]"),
        r"no basic auth credentials|missing username or secret",
        r"unauthenticated requests? (?:do|does) not have",
        r"unauthenticated request",
        r"anonymous (?:access|user|pull|request|download|caller)",
        r"no (?:valid |auth |authentication |registry )?credentials? (?:found|provided|supplied|were|was|sent|"
        r"available|given|could)",
        r"please (?:log ?in|login|authenticate)|you (?:must|need to) (?:be |log|sign)",
        r"(?:must|need to|has to) be (?:authenticated|logged|signed)",
        r"not (?:logged|signed) in\b(?! notary)|login required|requires? login",
        r"action requires authentication|may not login yet",
        r"(?:authorization|authentication|auth) (?:header|token|credentials?|information) (?:is |was |"
        r"were )?(?:missing|not (?:found|provided|present|sent|supplied))",
        r"missing (?:or empty )?(?:authorization|authentication|auth|bearer|token|credential)",
        r"missing credentials?",
        also=(Cause.NOT_FOUND,),
        used=False,
    ),
    # Google Artifact Registry and Container Registry.
    rule(
        Cause.AUTH_DENIED,
        r"permission \"?[\w. ]{1,120}\"? denied|permission denied for",
        r"token exchange failed",
        r"does not have (?:storage\.|artifactregistry\.|permission|access|the)|caller does not have|lacks? permission",
        r"don't have the needed permissions|needed permissions",
        also=(Cause.AUTH_MISSING,),
    ),
    # Harbor: no project, no right, and a bad robot account all read the same.
    rule(
        Cause.AUTH_DENIED,
        r"unauthorized to access repository|project .{0,200}(?:no permission|not authorized)",
        r"client does not have permission",
        r"access forbidden",
        r"invalid username/password",
        also=(Cause.AUTH_MISSING, Cause.NOT_FOUND),
    ),
    # The registry says on purpose the same of what is private and of what does not exist.
    rule(
        Cause.AUTH_OR_NOT_FOUND,
        r"insufficient_scope",
        r"requested access to the resource is denied",
        r"access to the requested resource is not authorized",
        r"pull access denied",
        r"does not exist or no pull access",
        r"may require ('docker login'|authori[sz]ation)",
        r"requesting bearer token: invalid status code from registry (?:401|403)",
        r"trying to obtain access token.{0,80}(?:401|403)",
        also=(Cause.AUTH_DENIED, Cause.AUTH_MISSING, Cause.NOT_FOUND),
    ),
    # GHCR to nobody in particular: the code and no message.
    rule(
        Cause.AUTH_MISSING,
        r"<(?:manifest|blob|ping)-url>\"?: unauthorized\W*$",
        r"error from registry: unauthorized\s*(?:unauthorized)?\W*$",
        also=(Cause.AUTH_DENIED, Cause.NOT_FOUND),
    ),
    rule(
        Cause.AUTH_DENIED,
        r"\bunauthorized\b",
        r"authentication (?:is )?required|requires authentication|authorization (?:is )?required",
        r"\bdenied: |: denied\W*$",
        r"access (?:is |to .{0,80})?denied|accessdenied",
        r"permission denied|forbidden",
        r"unauthenticated|not authorized|not authenticated|not permitted|not entitled|"
        r"insufficient (?:permission|right|privilege)",
        status(_REFUSED),
        r"\bstatus (?:401|403)\b|code \[manifests[^\]]{0,200}\]: (?:401|403)|statuscode: (?:401|403)",
        r"authorization failed|authentication fail|auth(?:orization|entication) error",
        r"failed to authorize",
        also=(Cause.AUTH_MISSING, Cause.NOT_FOUND),
    ),
)

NOT_THERE = (
    rule(
        Cause.NOT_FOUND,
        r"content descriptor .{0,40}\([^)]{0,80}(?:manifest|image\.index)[^)]{0,60}\)",
        also=(Cause.NOT_FOUND_BLOB,),
    ),
    rule(
        Cause.NOT_FOUND_BLOB,
        r"content descriptor|could not fetch content",
        r"blob[ _]unknown|unknown[ _]blob|blob .{0,120}not found",
        r"<blob-url>.{0,40}(?:not found|404|unknown)",
        r"pulling image configuration.{0,120}(?:not found|404|unknown)",
        r"(?:fetching|reading|writing|copying) (?:config )?blob.{0,200}(?:404|not found|unknown)",
        r"layer .{0,120}(?:not found|does not exist)|layers? .{0,40}missing",
        also=(Cause.NOT_FOUND,),
    ),
    rule(
        Cause.NOT_FOUND,
        r"manifest[ _]unknown|name[ _]unknown|tag[ _]unknown|repository[ _]unknown|name[ _]invalid",
        r"not[ _]found|notfound",
        r"does not exist|doesn't exist|no longer exists|was deleted",
        r"no such (?:image|manifest|tag|repository)",
        r"repository name not known|not known to registry",
        r"failed to fetch .{0,120} from request",
        status("404"),
        r"\bstatus 404\b|statuscode: 404|code \[manifests[^\]]{0,200}\]: 404",
        r"manifest for .{0,300} unknown",
        r"could not find|cannot find|unable to find",
    ),
)

LAST = (
    rule(Cause.CONN_BROKEN, r"download failed after attempts", also=(Cause.REGISTRY_ERROR,)),
    rule(
        Cause.REGISTRY_ERROR,
        r"unexpected status|failed with status code|unexpected http status|invalid status code|received unexpected",
        r"invalid character|error parsing http|unexpected media type|encountered unknown type|content-?type",
        r"invalid registry endpoint|not a (?:docker|container) registry|registry v2|v1 registry",
        r"\bunknown: |unsupported: ",
    ),
)
