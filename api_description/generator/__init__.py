"""From the API description to the SDK's generated code.

The way of the data: `load` reads the JSON and refuses what it does not understand, giving `forms`;
`overrides` and `prose` add what the description does not say; `annotate` spells forms as Python; `render`
fills the templates in memory; `publish` writes what changed. `compare` tells users what a newer description changes.
"""
