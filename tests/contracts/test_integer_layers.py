"""Layers without kernels: integer files that compute the simulation, or an error."""


def test_file(plain_case, convert_as_the_table_says):
    convert_as_the_table_says(plain_case, plain_case.model(between=True))
