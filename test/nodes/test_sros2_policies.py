"""config/sros2 against docs/ros_api.md: a policy allows what its node does, and nothing else."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from surfpose_ros.nodes import describe

from .test_ros_api import COMMON, documented, full_name

FOLDER = Path(__file__).resolve().parents[2] / "config" / "sros2"
# sros2's policy.xsd, version 0.2.0: the rules that each kind of list may have.
RULES = {"topics": {"publish", "subscribe"}, "services": {"reply", "request"}}
# What is off unless a parameter asks for it, and so in no table of topics.
ON_REQUEST = {"turntable_sim_node": {"/mask", "/depth"}}


def profile_of(node: str) -> ElementTree.Element:
    """The one profile of a node's policy."""
    root = ElementTree.parse(FOLDER / f"{node}.policy.xml").getroot()
    assert (root.tag, root.attrib) == ("policy", {"version": "0.2.0"})
    (enclaves,) = root
    (enclave,) = enclaves
    (profiles,) = enclave
    (profile,) = profiles
    tags = [element.tag for element in (enclaves, enclave, profiles, profile)]
    assert tags == ["enclaves", "enclave", "profiles", "profile"]
    assert enclave.attrib == {"path": f"/surfpose_ros/{node}"}
    assert profile.attrib == {"ns": "/", "node": node}
    return profile


def allowed(node: str, rule: str) -> set[str]:
    """Full names that a node's policy allows for publish, subscribe, reply or request."""
    lists = [names for names in profile_of(node) if rule in names.attrib]
    return {full_name(name.text, node) for names in lists for name in names}


def test_each_node_has_a_policy_and_no_other_file_is_there():
    assert {path.name for path in FOLDER.iterdir()} == {f"{node}.policy.xml" for node in describe.NODES}


@pytest.mark.parametrize("node", describe.NODES)
def test_a_policy_is_written_as_the_schema_of_sros2_wants_it(node):
    for names in profile_of(node):
        assert names.attrib and set(names.attrib) <= RULES[names.tag]
        assert set(names.attrib.values()) == {"ALLOW"}
        assert len(names) and all(name.tag == names.tag[:-1] and name.text for name in names)


@pytest.mark.parametrize("node", describe.NODES)
@pytest.mark.parametrize(("kind", "rule"), [("in", "subscribe"), ("out", "publish"), ("service", "reply")])
def test_a_policy_allows_every_documented_topic_and_service_and_nothing_else(node, kind, rule):
    page = {name for name, _ in documented(node)[kind]}
    names = allowed(node, rule)
    assert page <= names
    assert {name for name in names - page if not COMMON.search(name)} <= ON_REQUEST.get(node, set())


def test_only_retrain_node_calls_a_service_and_it_is_the_default_of_its_parameter():
    (default,) = (p.default for p in describe.parameters_of("retrain_node") if p.name == "reload_service")
    called = {node: allowed(node, "request") for node in describe.NODES}
    assert called == {node: {f"/{default}"} if node == "retrain_node" else set() for node in describe.NODES}
