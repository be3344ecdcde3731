"""The demo: invented operators and companies, a real sample, and the main job run on them.

A client of the gateway like any other: it goes through the API only, as administrator,
publisher and operators, and through the pages as people; of the installation it knows just
where its keys lie. Promises that no invented record is about a real company (codes under
district 000000), and that each thing it claims to show is checked.
"""
