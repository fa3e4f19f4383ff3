from __future__ import annotations

import json
from typing import Any

import pytest

from scanner.docker_config import Entry, MalformedPullSecret, parse_entries
from scanner.keyring import Keyring, Match, Mismatch, lookup_subject, normalise_key, url_matches, why_not
from scanner.registry_key import is_docker_hub
from tests.oracles import rows

TABLE = "01-kubelet-keyring.yaml"
JSON_TYPE, FLAT_TYPE = "kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"
Secret = tuple[str, dict[str, bytes]]


def secret(*keys: str, password: str = "p") -> Secret:
    """A pull Secret whose user names are the keys."""
    auths = {key: {"username": key, "password": password} for key in keys}
    return JSON_TYPE, {".dockerconfigjson": json.dumps({"auths": auths}).encode()}


def users(keyring: Keyring, image: str) -> list[str]:
    return [match.username for match in keyring.lookup(image)]


def parsed(document: str | bytes, *, secret_type: str = JSON_TYPE) -> dict[str, list[str]]:
    value = document.encode() if isinstance(document, str) else document
    data_key = {JSON_TYPE: ".dockerconfigjson", FLAT_TYPE: ".dockercfg"}[secret_type]
    return {entry.raw_key: [entry.username, entry.password] for entry in parse_entries(secret_type, {data_key: value})}


class TestWhatAKeyCovers:
    @pytest.mark.parametrize("row", rows(TABLE, "url_match"))
    def test_a_url_matches_as_in_the_kubelet(self, row: dict[str, Any]) -> None:
        assert url_matches(row["glob"], row["image"]) is row["match"]
        assert (why_not(row["glob"], row["image"]) is None) is row["match"]

    @pytest.mark.parametrize("row", rows(TABLE, "key_normalisation"))
    def test_a_key_is_normalised_as_in_the_kubelet(self, row: dict[str, Any]) -> None:
        assert normalise_key(row["key"]) == (None if "dropped" in row else row["normalised"])

    @pytest.mark.parametrize("row", [*rows(TABLE, "glob_lookup_hit"), *rows(TABLE, "glob_lookup_miss")])
    def test_a_wildcard_key_is_found_or_not(self, row: dict[str, Any]) -> None:
        assert bool(Keyring.from_secrets([secret(row["key"])]).lookup(row["image"])) is row["hit"]
        assert url_matches(row["key"], row["image"]) is row["hit"]

    @pytest.mark.parametrize(
        ("key", "image", "expected"),
        [
            ("registry[0-9].example.com", "registry1.example.com/x", True),
            ("registry[0-9].example.com", "registryx.example.com/x", False),
            ("registry[a-cx].example.com", "registryx.example.com/x", True),
            (
                "registry[0-9].example.com:5000",
                "registry1.example.com:5000/x",
                False,
            ),  # no port is split off a host with brackets
            ("[fc00::1]", "[fc00::1]/x", False),  # and without a port the brackets are a character class
            ("registry[].example.com", "registry1.example.com/x", False),
            ("registry[1-].example.com", "registry1.example.com/x", False),
            ("registry[-1].example.com", "registry1.example.com/x", False),
            ("registry[1", "registry1/x", False),
            ("re*st*y.example.com", "registry.example.com/x", True),
            ("*y", "registry/x", True),
            ("*x", "registry/x", False),
            ("registry*", "registry/x", True),
            ("registry?.example.com", "registry1.example.com/x", False),  # the ? begins the query
            ("registry:", "registry/x", True),  # an empty port is none
            ("registry.example.com/a%2Fb", "registry.example.com/a/b", True),
            ("quay.io/a%zz", "quay.io/a", False),
            ("", "registry/x", False),
        ],
    )
    def test_hosts_are_matched_label_by_label(self, key: str, image: str, *, expected: bool) -> None:
        assert url_matches(key, image) is expected

    @pytest.mark.parametrize(
        ("key", "reason"),
        [
            ("quay.io ", "invalid character in the host name"),
            ("quay.io:port", "the port is not a number"),
            ("[fc00::1", "missing ] in the host"),
            ("[fc00::1]x", "the port is not a number"),
            ("quay.io/100%", "a % is not followed by two hexadecimal digits"),
            ("quay.io/#%", "a % is not followed by two hexadecimal digits"),
            ("u|v@quay.io", "invalid user name before the @"),
            ("quay.io/\t", "it holds a control character"),
            ("[fe80::1%25e|0]", "invalid character in the host name"),
        ],
    )
    def test_a_dropped_key_says_why(self, key: str, reason: str) -> None:
        (entry,) = parse_entries(*secret(key))
        assert (entry.key, entry.dropped) == (None, reason)
        assert Keyring.from_entries([(0, entry)]).lookup("quay.io/a") == []

    def test_a_zone_of_an_ipv6_address_is_decoded(self) -> None:
        assert normalise_key("[fe80::1%25eth%2d0]:5000/x") == "[fe80::1%eth-0]:5000/x"

    @pytest.mark.parametrize(
        ("key", "image", "expected"),
        [
            ("quay.io", "quay.io/team/app", None),
            ("https://quay.io/v1/", "quay.io/team/app", None),
            (None, "quay.io/team/app", Mismatch.DROPPED),
            ("quay.io:port", "quay.io/team/app", Mismatch.DROPPED),
            ("https://quay.io:port", "quay.io/team/app", Mismatch.DROPPED),
            ("quay.io:443", "quay.io/team/app", Mismatch.PORT),
            ("*.example.com", "example.com/app", Mismatch.HOST_LABELS),
            ("ghcr.io", "quay.io/team/app", Mismatch.HOST),
            ("*r.io/team", "quay.io/team/app", Mismatch.HOST),
            ("quay.io/other", "quay.io/team/app", Mismatch.PATH),
            ("quay[.io", "quay.io/team/app", Mismatch.BAD_PATTERN),
            ("quay.io", "not an image", Mismatch.HOST),
            ("index.docker.io", "docker.io/library/nginx", Mismatch.ONLY_FALLBACK),
            ("https://index.docker.io/v1/", "docker.io/library/nginx", Mismatch.ONLY_FALLBACK),
            ("https://index.docker.io/v1", "docker.io/library/nginx", Mismatch.HOST_LABELS),
        ],
    )
    def test_a_mismatch_has_one_reason(self, key: str | None, image: str, expected: Mismatch | None) -> None:
        assert why_not(key, image) is expected


class TestLookup:
    @pytest.mark.parametrize("row", rows(TABLE, "lookup_order_upstream"))
    def test_the_more_specific_path_is_tried_first(self, row: dict[str, Any]) -> None:
        document = {
            "bar.example.com": {"username": "ada"},
            "bar.example.com/pong": {"username": "grace"},
            "https://quay.io/v1/": {"username": "rex"},
        }
        keyring = Keyring.from_secrets([(FLAT_TYPE, {".dockercfg": json.dumps(document).encode()})])
        assert users(keyring, row["image"]) == row["creds"]

    @pytest.mark.parametrize("row", rows(TABLE, "docker_hub_upstream"))
    def test_docker_hub_images_get_docker_hubs_credentials(self, row: dict[str, Any]) -> None:
        hits = len(Keyring.from_secrets([secret("https://index.docker.io/v1/")]).lookup(row["image"]))
        assert hits <= 2 if row["hits"] == "<=2" else hits == row["hits"]

    @pytest.mark.parametrize("row", rows(TABLE, "is_default_registry"))
    def test_an_image_of_docker_hub_is_recognised(self, row: dict[str, Any]) -> None:
        assert is_docker_hub(row["image"]) is row["default"]

    def test_nothing_is_no_image_of_docker_hub(self) -> None:
        assert not is_docker_hub("")
        assert not is_docker_hub("/team/app")

    @pytest.mark.parametrize("row", rows(TABLE, "lookup_single_secret"))
    def test_keys_of_one_secret_are_tried_in_the_kubelets_order(self, row: dict[str, Any]) -> None:
        keyring = Keyring.from_secrets([secret(*row["keys"])])
        assert users(keyring, row["image"]) == row["creds"]
        direct = [key for key in row["keys"] if url_matches(normalise_key(key) or "", row["image"])]
        assert bool(direct) is (row["how"] == "direct")

    @pytest.mark.parametrize("row", rows(TABLE, "lookup_multiple_secrets"))
    def test_keys_of_several_secrets_share_one_order(self, row: dict[str, Any]) -> None:
        keyring = Keyring.from_secrets([secret(*keys) for keys in row["secrets"]])
        tried = [f"S{match.secret_index + 1}:{match.username}" for match in keyring.lookup(row["image"])]
        assert tried == row["tried_in_order"]

    @pytest.mark.parametrize("row", rows(TABLE, "secrets_to_keyring"))
    def test_type_and_data_key_must_belong_together(self, row: dict[str, Any]) -> None:
        registry = "foobar.io" if "foobar.io" in row["entry"] else "test.registry.io"
        auths = {registry: {"auth": "dXNlcjpwYXNz"}}
        document = json.dumps({"auths": auths} if row["data_key"] == ".dockerconfigjson" else auths).encode()
        keyring = Keyring.from_secrets([(row["type"], {row["data_key"]: document})])
        assert users(keyring, "test.registry.io/app") == [creds for creds in row["creds"] if creds != "default-user"]

    def test_a_whole_reference_is_reduced_to_its_name(self) -> None:
        keyring = Keyring.from_secrets([secret("docker.io/library", "quay.io/team")])
        assert users(keyring, "nginx:1.27") == ["docker.io/library"]
        assert users(keyring, f"quay.io/team/app:1@sha256:{'a' * 64}") == ["quay.io/team"]
        assert lookup_subject("quay.io/" + "x" * 2000) == "quay.io/" + "x" * 2000
        assert lookup_subject("registry.example.com:5000") == "registry.example.com:5000"

    def test_a_key_that_hides_behind_its_decoded_text_never_matches(self) -> None:
        keyring = Keyring.from_secrets([secret("quay.io/%25zz", "quay.io/team%3Fx")])
        assert users(keyring, "quay.io/team/app") == ["quay.io/team%3Fx"]  # parsed again, the ? cuts the path

    @pytest.mark.parametrize(
        ("piece", "times"), [("[", 1_000_000), ("*a", 300_000), ("a.", 500_000), ("[a-b]", 200_000), ("%", 1_000_000)]
    )
    def test_a_key_of_a_megabyte_is_answered_at_once(self, piece: str, times: int) -> None:
        assert Keyring.from_secrets([secret(piece * times + "b")]).lookup(f"{'a' * 1000}/x") == []

    def test_a_match_tells_what_it_came_from(self) -> None:
        keyring = Keyring.from_secrets([("Opaque", {}), secret("https://quay.io/v1/team", password="hidden")])
        (match,) = keyring.lookup("quay.io/team/app")
        assert match == Match("quay.io/team", "https://quay.io/v1/team", "hidden", 1, "https://quay.io/v1/team")
        assert "hidden" not in repr(match)

    def test_entries_without_passwords_answer_the_same(self) -> None:
        secrets = [secret("*.io", "quay.io"), secret("quay.io/team")]
        entries = [
            (index, entry.without_password()) for index, given in enumerate(secrets) for entry in parse_entries(*given)
        ]
        full, bare = Keyring.from_secrets(secrets), Keyring.from_entries(entries)
        assert users(bare, "quay.io/team/app") == users(full, "quay.io/team/app") == ["quay.io/team", "quay.io", "*.io"]
        assert {match.password for match in bare.lookup("quay.io/team/app")} == {""}

    def test_one_broken_secret_spoils_the_keyring_and_is_named(self) -> None:
        with pytest.raises(MalformedPullSecret) as caught:
            Keyring.from_secrets([secret("quay.io"), (JSON_TYPE, {".dockerconfigjson": b'{"auths":'})])
        assert caught.value.secret_index == 1
        assert str(caught.value) == "pull Secret 2 is malformed: it is not valid JSON (line 1, column 10)"

    def test_a_broken_secret_of_the_wrong_type_spoils_nothing(self) -> None:
        keyring = Keyring.from_secrets(
            [
                ("Opaque", {".dockerconfigjson": b"{"}),
                (FLAT_TYPE, {".dockerconfigjson": b"{"}),
                (JSON_TYPE, {".dockerconfigjson": b""}),
            ]
        )
        assert keyring.lookup("quay.io/app") == []


class TestReadingASecret:
    @pytest.mark.parametrize("row", rows(TABLE, "auth_field_decode"))
    def test_an_auth_field_is_decoded_as_in_the_kubelet(self, row: dict[str, Any]) -> None:
        document = json.dumps({"quay.io": {"auth": row["auth"]}})
        if row["auth"] == "":  # an empty field is as good as none; only decoding one would fail
            assert parsed(document, secret_type=FLAT_TYPE) == {"quay.io": ["", ""]}
        elif row["error"]:
            with pytest.raises(MalformedPullSecret, match=r'auth of the entry "quay\.io" is not'):
                parsed(document, secret_type=FLAT_TYPE)
        else:
            assert parsed(document, secret_type=FLAT_TYPE) == {"quay.io": [row["username"], row["password"]]}

    @pytest.mark.parametrize("row", rows(TABLE, "entry_decode"))
    def test_an_entry_is_decoded_as_in_the_kubelet(self, row: dict[str, Any]) -> None:
        document = f'{{"quay.io": {row["entry"]}}}'
        if row["error"]:
            with pytest.raises(MalformedPullSecret):
                parsed(document, secret_type=FLAT_TYPE)
        else:
            assert parsed(document, secret_type=FLAT_TYPE) == {"quay.io": row["creds"].split(":")}

    @pytest.mark.parametrize("row", rows(TABLE, "dockerconfigjson_parse"))
    def test_a_docker_config_json_is_read_as_in_the_kubelet(self, row: dict[str, Any]) -> None:
        if "error" in row:
            with pytest.raises(MalformedPullSecret):
                parsed(row["json"])
        else:
            assert parsed(row["json"]) == row["entries"]

    @pytest.mark.parametrize("row", [row for row in rows(TABLE, "dockercfg_parse") if "'json': ''" not in str(row)])
    def test_a_dockercfg_is_read_as_in_the_kubelet(self, row: dict[str, Any]) -> None:
        if "error" in row:
            with pytest.raises(MalformedPullSecret):
                parsed(row["json"], secret_type=FLAT_TYPE)
        else:
            assert parsed(row["json"], secret_type=FLAT_TYPE) == row["entries"]

    def test_an_empty_value_is_no_pull_secret(self) -> None:
        assert parsed("", secret_type=FLAT_TYPE) == {}

    @pytest.mark.parametrize(
        ("document", "expected"),
        [
            ('{"auth\u017f":{"a":{"u\u017fername":"u","PA\u017fSWORD":"p"}}}', {"a": ["u", "p"]}),  # ſ folds to s
            ('{"auths":{"a":{"pa\u00dfword":"p"}}}', {"a": ["", ""]}),  # ß does not fold to ss
            ('{"auths":{"a":{"username":"u"}},"Auths":{"b":{"username":"v"}}}', {"a": ["u", ""], "b": ["v", ""]}),
            ('{"auths":{"a":{"username":"u"}},"auths":null}', {}),
            ('{"auths":{"a":{"username":"u","username":null,"password":"p","Password":"q"}}}', {"a": ["u", "q"]}),
            ('{"auths":{"a":{"username":"u"},"a":{"password":"p"}}}', {"a": ["", "p"]}),
            ('{"auths":{"a":{"username":"\\ud800x\\ud83d\\ude00"}}}', {"a": ["\ufffdx\U0001f600", ""]}),
            (b'{"auths":{"a":{"username":"\xe2\x82"}}}', {"a": ["\ufffd\ufffd", ""]}),
            ('{"auths":{},"HttpHeaders":{"a":null}}', {}),
            (f'{{"auths":{{}},"x":{"9" * 10_000}}}', {}),
            (f'{{"x":{"[" * 9_999}{"]" * 9_999},"auths":{{"a":{{"username":"u"}}}}}}', {"a": ["u", ""]}),
            ('{"x":"' + "[" * 20_000 + '\\"{","auths":{"a":{"username":"u"}}}', {"a": ["u", ""]}),
            ('{"x":[' + "{}," * 5_000 + "{}]}", {}),
        ],
    )
    def test_the_peculiarities_of_gos_decoder_are_kept(
        self, document: str | bytes, expected: dict[str, list[str]]
    ) -> None:
        assert parsed(document) == expected

    @pytest.mark.parametrize(
        ("document", "reason"),
        [
            ("[]", "the document must be an object, not a list"),
            ('{"auths":true}', "auths must be an object, not a boolean"),
            ('{"auths":{"a":1}}', 'the entry "a" must be an object, not a number'),
            ('{"auths":{"a":{"email":{}}}}', 'email of the entry "a" must be a string, not an object'),
            ('{"auths":{"a":{"auth":[]}}}', 'auth of the entry "a" must be a string, not a list'),
            ('{"auths":{"a":{"username":false}, "a":{}}}', 'username of the entry "a" must be a string, not a boolean'),
            ('{"HttpHeaders":{"h":1}}', 'HttpHeaders["h"] must be a string, not a number'),
            (
                '{"auths":{"a":{"auth":"Zm9v"}}}',
                'auth of the entry "a" is not base64 of username:password, there is no colon in it',
            ),
            ('{"auths":{"a":{"auth":"Zm-v"}}}', 'auth of the entry "a" is not valid base64'),
            ('{"auths":NaN}', "it is not valid JSON"),
            ("\ufeff{}", "it begins with a byte order mark, which is not JSON"),
            (" \n", "it is empty but for white space"),
            ("eyJhdXRocyI6e319\n", "it is not JSON, it looks encoded with base64 twice"),
            ('{\n"auths":}', "it is not valid JSON (line 2, column 9)"),
            (f'{{"x":{"[" * 10_000}{"]" * 10_000}}}', "it is not valid JSON"),
            ("[" * 1_000_000, "it is not valid JSON"),
            ('{"a":' * 150_000, "it is not valid JSON"),
            (f"{'[' * 300}{']' * 299}}}", "it is not valid JSON"),
            (f"{'[' * 150}{']' * 49}", "it is not valid JSON"),
            (f'{"[" * 150}"{"]" * 150}', "it is not valid JSON"),
            (f'{{"a":"{"[" * 150}', "it is not valid JSON (line 1, column 6)"),
        ],
    )
    def test_what_is_malformed_is_said_without_its_value(self, document: str, reason: str) -> None:
        with pytest.raises(MalformedPullSecret) as caught:
            parsed(document)
        assert caught.value.reason == reason
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None

    def test_user_info_in_a_key_is_masked_wherever_it_is_shown(self) -> None:
        (good, bad) = parse_entries(*secret("https://user:hidden@quay.io/a@b", "user:hid/den@quay.io"))
        assert (good.raw_key, good.key) == ("https://***@quay.io/a@b", "quay.io/a@b")
        assert (bad.raw_key, bad.key) == ("***@quay.io", None)
        with pytest.raises(
            MalformedPullSecret, match=r'the entry "https://\*\*\*@quay.io" must be an object'
        ) as caught:
            parsed('{"auths":{"https://user:hidden@quay.io":1}}')
        assert "hidden" not in str(caught.value)

    def test_a_hostile_registry_is_shown_short_and_on_one_line(self) -> None:
        with pytest.raises(MalformedPullSecret) as caught:
            parsed(json.dumps({"auths": {"\n\x1b[31m" + "x" * 10_000: 1}}))
        assert caught.value.reason.isprintable()
        assert len(caught.value.reason) < 200

    def test_fields_that_the_kubelet_ignores_are_named(self) -> None:
        document = {
            "auths": {"a": {"identitytoken": "t", "IdentityToken": "t", "registrytoken": ""}, "b": {"auth": "dTpw"}},
            "credsStore": "desktop",
            "credHelpers": {},
        }
        a, b = parse_entries(JSON_TYPE, {".dockerconfigjson": json.dumps(document).encode()})
        assert (a.ignored_fields, a.anonymous) == (("identitytoken", "credsStore"), True)
        assert (b.ignored_fields, b.anonymous) == (("credsStore",), False)

    def test_an_entry_never_shows_its_password(self) -> None:
        entry = Entry("quay.io", "quay.io", "user", "hidden")
        assert "hidden" not in repr(entry)
        assert entry.without_password() == Entry("quay.io", "quay.io", "user", "")
