// A library's only source.
