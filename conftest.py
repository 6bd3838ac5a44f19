"""The suite itself is the plugin `conformance.pytest_plugin.plugin`, registered on installation."""

pytest_plugins = ["pytester"]
