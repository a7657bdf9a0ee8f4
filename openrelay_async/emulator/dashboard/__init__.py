"""The dashboard: one server-rendered page with the API keys of an organization. Its own area: no area
imports it."""
