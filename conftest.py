"""The suite itself is the plugin `conformance.plugin`, registered on installation."""

pytest_plugins = ["pytester"]
