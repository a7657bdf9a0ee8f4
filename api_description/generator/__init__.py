"""From the API description to the SDK's generated code.

The way of the data: `load` reads the JSON and refuses what it does not understand, giving `forms`;
`overrides` and `prose` add what the description does not say; `spell` writes forms as Python; `render` fills
the templates in memory; `publish` writes what changed. `compare` says what a newer description would change.
"""
