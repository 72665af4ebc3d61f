"""The configuration: found, read, checked, explained; and its generated reference."""

from sottovoce.settings.configuration import Configuration, ProcessConfig
from sottovoce.settings.errors import ConfigurationInvalid, Problem
from sottovoce.settings.given_routes import GivenRoute, given_routes, routes_text
from sottovoce.settings.load import FILE_NAME, build, find_file, load
from sottovoce.settings.reference import development_text, profile_text, reference_text, schema_text, tokens_text

__all__ = [
    "FILE_NAME",
    "Configuration",
    "ConfigurationInvalid",
    "GivenRoute",
    "Problem",
    "ProcessConfig",
    "build",
    "development_text",
    "find_file",
    "given_routes",
    "load",
    "profile_text",
    "reference_text",
    "routes_text",
    "schema_text",
    "tokens_text",
]
