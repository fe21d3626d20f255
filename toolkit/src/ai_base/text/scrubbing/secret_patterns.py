"""Secrets that are recognized by their form alone: the one list of the scrubber and of the commit hook.

Sources: the vendors' documentation and the public rules of gitleaks and trufflehog. A vendor's name here says whose key
it is; nothing is done for one vendor that is not done for the others.
"""

import re

from ai_base.text.scrubbing.rules import Rule

ALNUM = "[A-Za-z0-9]"
HEX = "[0-9a-fA-F]"
URL64 = r"[\w-]"  # the alphabet of URL-safe base64
START = r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2}))"  # not inside a word, but after `=` in a query, which is %3D
PLAIN_WORD = re.compile(r"[A-Za-z]{1,19}|v?[0-9]{1,4}")


def _is_no_prose(match: re.Match[str]) -> int:
    """Refuse hyphenated prose such as `sk-learn-compatible-estimators`: words and short numbers only."""
    words = [word for word in re.split("[-_.]+", match[0]) if word]
    return 0 if all(PLAIN_WORD.fullmatch(word) for word in words) else match.end()


def _prefixed(name: str, *prefixes: str, body: str) -> Rule:
    """Return the rule for a key that is one of `prefixes`, then `body`."""
    either = "|".join(map(re.escape, prefixes))
    form = f"{START}(?:{either}){body}+"  # possessive: what was read is not given back
    return Rule(name=name, label="key", form=form, flags=re.ASCII, starts=prefixes, is_word=True, check=_is_no_prose)


def _form(name: str, form: str, *, contains: tuple[str, ...] = (), starts: tuple[str, ...] = ()) -> Rule:
    """Return the rule for a key of several parts; a group `secret` is the part to hide."""
    return Rule(name=name, label="key", form=form, contains=contains, starts=starts)


AI_PROVIDERS = [
    _prefixed("OpenAI, Anthropic, OpenRouter, DeepSeek and others", "sk-", body=URL64 + "{20,}"),
    _prefixed("AWS Bedrock", "ABSK", "bedrock-api-key-", body="[A-Za-z0-9+/=]{40,}"),
    _prefixed("Cerebras", "csk-", body=ALNUM + "{32,}"),
    _prefixed("ElevenLabs, Pinecone", "sk_", "pcsk_", body=r"\w{40,}"),
    _prefixed("Fireworks", "fw_", body=ALNUM + "{20,}"),
    _prefixed("Firecrawl", "fc-", body=HEX + "{32,}"),
    _prefixed("Google API", "AIza", body=URL64 + "{35,}"),
    _prefixed("Google Gemini", "AQ.Ab", body=URL64 + "{40,}"),
    _prefixed("Groq", "gsk_", body=ALNUM + "{32,}"),
    _prefixed("Hugging Face", "hf_", "api_org_", body=ALNUM + "{30,}"),
    _prefixed("Jina", "jina_", body=URL64 + "{40,}"),
    _prefixed("LangSmith", "lsv2_pt_", "lsv2_sk_", body=r"\w{32,}"),
    _prefixed("NVIDIA", "nvapi-", body=URL64 + "{40,}"),
    _prefixed("Perplexity", "pplx-", body=ALNUM + "{32,}"),
    _prefixed("Pydantic Logfire", "pylf_v", body=r"\w{30,}"),
    _prefixed("Replicate", "r8_", body=ALNUM + "{32,}"),
    _prefixed("Tavily", "tvly-", body=URL64 + "{20,}"),
    _prefixed("Together", "tgp_v1_", body=URL64 + "{40,}"),
    _prefixed("Voyage", "pa-", body=URL64 + "{40,}"),
    _prefixed("Weights & Biases", "wandb_v1_", body=URL64 + "{30,}"),
    _prefixed("xAI", "xai-", body=ALNUM + "{40,}"),
]

CODE_AND_PACKAGES = [
    _prefixed("Atlassian", "ATATT3", "ATCTT3", body="[A-Za-z0-9=_-]{40,}"),
    _prefixed("Bitbucket", "ATBB", body=ALNUM + "{28,}"),
    _prefixed("crates.io", "cio", body=ALNUM + "{32}"),
    _prefixed("Docker", "dckr_pat_", "dckr_oat_", body=URL64 + "{20,}"),
    _prefixed("GitHub", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", body=ALNUM + "{36,}"),
    _prefixed("GitHub, fine-grained", "github_pat_", body=r"\w{60,}"),
    _prefixed("GitLab", "glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "gloas-", body=r"[\w.-]{20,}"),
    _prefixed("JFrog", "AKCp", "cmVmdGtuOj", body=ALNUM + "{50,}"),
    _prefixed("npm", "npm_", body=ALNUM + "{36,}"),
    _prefixed("PyPI", "pypi-", body=URL64 + "{40,}"),
    _prefixed("Postman", "PMAK-", body="[0-9a-f-]{50,}"),
    _prefixed("RubyGems", "rubygems_", body=HEX + "{48}"),
    _prefixed("Sentry", "sntrys_", "sntryu_", body="[A-Za-z0-9+/=_]{40,}"),
    _prefixed("SonarQube", "squ_", "sqp_", "sqa_", body=HEX + "{40}"),
]

CLOUDS = [
    _prefixed("AWS access key", "AKIA", "ASIA", "ABIA", "ACCA", body="[A-Z0-9]{16}"),
    _prefixed("Alibaba", "LTAI", body=ALNUM + "{12,}"),
    _prefixed("Cloudflare", "cfut_", "cfat_", "cfk_", body=ALNUM + "{40,}"),
    _prefixed("Databricks", "dapi", "dkea", "dose", body="[0-9a-f]{32}(?:-[0-9]+)?"),
    _prefixed("DigitalOcean", "dop_v1_", "doo_v1_", "dor_v1_", body="[0-9a-f]{64}"),
    _prefixed("Doppler", "dp.pt.", "dp.st.", "dp.sa.", "dp.ct.", body=r"[\w.]{40,}"),
    _prefixed("Fly.io", "fm1r_", "fm2_", "fo1_", body="[A-Za-z0-9+/=_-]{40,}"),
    _prefixed("Google OAuth client", "GOCSPX-", body=URL64 + "{24,}"),
    _prefixed("Google OAuth token", "ya29.", "1//0", body=r"[\w.-]{20,}"),
    _prefixed("Grafana", "glc_", "glsa_", body="[A-Za-z0-9+/=_]{32,}"),
    _prefixed("Heroku", "HRKU-", body=URL64 + "{36,}"),
    _prefixed("Netlify", "nfp_", body=ALNUM + "{36,}"),
    _prefixed("New Relic", "NRAK-", "NRII-", "NRJS-", body=URL64 + "{19,}"),
    _prefixed("PlanetScale", "pscale_tkn_", "pscale_pw_", "pscale_oauth_", body=r"[\w.-]{32,}"),
    _prefixed("Pulumi", "pul-", body=HEX + "{40}"),
    _prefixed("Render", "rnd_", body=ALNUM + "{28,}"),
    _prefixed("Supabase", "sbp_", "sb_secret_", body=r"\w{20,}"),
    _prefixed("Tailscale", "tskey-auth-", "tskey-api-", "tskey-client-", body=URL64 + "{20,}"),
    _prefixed("Vault", "hvs.", "hvb.", "hvr.", body=URL64 + "{20,}"),
    _prefixed("Vercel", "vcp_", "vci_", "vca_", "vcr_", "vck_", body=ALNUM + "{24,}"),
    _form("Azure client secret", r"(?<![\w~.-])[\w~.-]{3}[0-9]Q~[\w~.-]{31,34}(?![\w~-])", contains=("Q~",)),
    _form("Azure AI services", rf"(?<!{ALNUM}){ALNUM}{{52}}JQQJ9[9D]{ALNUM}{{26}}(?!{ALNUM})", contains=("JQQJ9",)),
    _form("Dynatrace", r"dt0[a-z][0-9]{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}", contains=("dt0",)),
    _form("Terraform Cloud", r"(?<!\w)[A-Za-z0-9]{14}\.atlasv1\.[\w-]{60,}", contains=(".atlasv1.",)),
]

# A token of a bot begins with a number in base64.
DISCORD = ["MT", "Mj", "Mz", "ND", "NT", "Nj", "Nz", "OD", "OT"]

MESSAGES_AND_PAYMENTS = [
    _prefixed("Airtable", "pat", body=ALNUM + r"{14}\.[0-9a-f]{64}"),
    _prefixed("Facebook", "EAA", body=ALNUM + "{80,}"),
    _prefixed("Figma", "figd_", body=URL64 + "{36,}"),
    _prefixed("HubSpot", "pat-na1-", "pat-eu1-", body="[0-9a-f-]{36}"),
    _prefixed("Linear", "lin_api_", "lin_oauth_", body=ALNUM + "{32,}"),
    _prefixed("Mailgun", "key-", body="[0-9a-f]{32}"),
    _prefixed("Notion", "ntn_", "secret_", body=ALNUM + "{40,}"),
    _prefixed("Plaid", "access-sandbox-", "access-production-", body="[0-9a-f-]{36}"),
    _prefixed("PostHog", "phx_", body=ALNUM + "{40,}"),
    _prefixed("Resend", "re_", body=ALNUM + r"{6,12}_[A-Za-z0-9]{20,}"),
    _prefixed("SendGrid", "SG.", body=URL64 + r"{16,40}+\.[\w-]{30,}"),
    _prefixed("Brevo", "xkeysib-", "xsmtpsib-", body=URL64 + "{60,}"),
    _prefixed("Shopify", "shpat_", "shpca_", "shppa_", "shpss_", "shpua_", "shptka_", body=HEX + "{32}"),
    _prefixed("Slack token", *(f"xox{kind}-" for kind in "abeoprscd"), "xapp-", "xwfp-", body=r"[\w.-]{10,}"),
    _prefixed("Square", "sq0atp-", "sq0csp-", "sq0idp-", body=URL64 + "{22,}"),
    _prefixed(
        "Stripe", "sk_live_", "sk_test_", "rk_live_", "rk_test_", "sk_org_live_", "sk_org_test_", body=r"\w{16,}"
    ),
    _prefixed("Twilio", "SK", body="[0-9a-f]{32}"),
    _prefixed("Web hook secret", "whsec_", body="[A-Za-z0-9+/=_-]{20,}"),
    _form("Mailchimp", rf"(?<!{ALNUM})[0-9a-f]{{32}}-us[0-9]{{1,2}}(?!{ALNUM})", contains=("-us",)),
    _form("Telegram bot", r"(?<!\w)[0-9]{8,10}:AA[\w-]{33}(?![\w-])", contains=(":AA",)),
    _prefixed("Discord bot", *DISCORD, body=r"[\w-]{20,26}\.[\w-]{6}\.[\w-]{27,40}"),
    _form("Slack web hook", r"hooks\.slack\.com/ (?P<secret> [a-z]{6,12} /[\w/-]{20,})", starts=("hooks.slack.com/",)),
    _form("Discord web hook", r"api/webhooks/ (?P<secret> [0-9]{15,22} /[\w-]{30,})", starts=("api/webhooks/",)),
    _form("Teams web hook", r"office\.com/ (?P<secret> webhookb2 /[\w@/-]{30,})", starts=("office.com/webhookb2/",)),
]

STANDARDS = [
    # Up to the end line; cut off without one. U+F0000 and above stand for escapes (`\n` in JSON), see `scrub`.
    _form(
        "PEM or PGP private key",
        r"""
        -----BEGIN[ ] [A-Z0-9 ]{0,30} (?:PRIVATE[ ]KEY(?:[ ]BLOCK)?|PGP[ ]MESSAGE) -----
        (?: (?!-----END[ ]) [\w+/=:,.()<>@\s\U000f0003-\U0010ffff-] )*+
        (?: -----END[ ] [A-Z0-9 ]{0,30} (?:KEY(?:[ ]BLOCK)?|MESSAGE) ----- )?
        """,
        starts=("-----BEGIN ",),
    ),
    _form(
        "PuTTY private key",
        r"Private-Lines:[ ][0-9]+ (?P<secret> (?: [\s\U000f0003-\U0010ffff]+ [A-Za-z0-9+/=]{20,64} )+ )",
        starts=("Private-Lines:",),
    ),
    _prefixed("age", "AGE-SECRET-KEY-1", body="[0-9A-Z]{50,}"),
    # A signed token has three parts, an encrypted one five; the part of its header begins with `{"`, which is eyJ.
    _form(
        "JSON web token",
        r"(?<![\w-]) eyJ[\w-]{10,}+ \. (?: eyJ[\w-]{10,}+ \. [\w-]{10,}+ | [\w-]*+ (?:\.[\w-]{10,}+){3} )",
        starts=("eyJ",),
    ),
    _form(
        "Hash of a password",
        r"""
        \$2[abxy]\$[0-9]{2}\$ [./A-Za-z0-9]{53}             # bcrypt
        | \$argon2(?:id|i|d)\$ [\w=,$+/-]{20,}              # Argon2
        | \$(?:1|5|6|y|apr1)\$ [./A-Za-z0-9=$]{20,}         # crypt(3)
        | pbkdf2_sha[0-9]{1,3} \$[0-9]{1,9} \$[\w./+=$]{20,}        # Django
        """,
        starts=("$2", "$argon2", "$1$", "$5$", "$6$", "$y$", "$apr1$", "pbkdf2_sha"),
    ),
]

KEY_RULES = [*STANDARDS, *AI_PROVIDERS, *CODE_AND_PACKAGES, *CLOUDS, *MESSAGES_AND_PAYMENTS]

# Secret only in their context. The commit hook does not use these rules: examples are full of such text.
CONTEXT_RULES = [
    _form(
        "Credentials in a URL",
        r"""
        :// (?P<secret>
            (?! [{<$%*] | [^\s/@:]{0,100}: (?:[{<$%*]|\[key\]@) )   # `user:{password}@` is a template
            [^\s/@:"'\U000f0000-\U0010ffff]{0,100} : [^\s/"'\U000f0000-\U0010ffff]{1,200}
        ) (?=@)
        """,
        starts=("://",),
    ),
    _form(
        "Bearer token",
        r"""
        [Bb](?:earer|EARER)[ ]
        (?P<secret> (?=[a-z._~+/-]{0,300}[A-Z0-9]) [\w.~+/=-]{12,} [^\s"',;<>(){}\[\]\U000f0000-\U0010ffff]* )
        """,
        starts=("Bearer ", "bearer ", "BEARER "),
    ),
    _form(
        "Signature in a query",
        r"""
        (?: \A | (?<=[?&;\s"'\U000f0000-\U0010ffff]) ) (?i: (?:x-(?:amz|goog|oss)-)?signature | sig ) =
        (?P<secret> (?=[^&\s]{0,60}[0-9]) [^&\s"'<>\U000f0000-\U0010ffff]{6,} )
        """,
        contains=("ig=", "IG=", "ature="),
    ),
    _form(
        "Key or code in a query",
        r"""
        (?<=[?&;\U000f0000-\U0010ffff]) (?:code|key|auth|hmac) =
        (?P<secret> (?=[^&\s]{0,60}[0-9]) [\w%.~+/=-]{16,} )
        """,
        contains=("code=", "key=", "auth=", "hmac="),
    ),
    _form(
        "User and password of curl",
        r"""
        curl[ ] (?:[^\n|;&]{0,200}[ ])? (?:-u|--user|--proxy-user) [ =]? ["']?
        (?P<secret> [^\s:"'$]{1,100} : [^\s"'$\U000f0000-\U0010ffff]{1,200} )
        """,
        starts=("curl ",),
    ),
]
