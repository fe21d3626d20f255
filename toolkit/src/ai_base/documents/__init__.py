"""Documents: a repository by URL, Markdown chunks, an index with full-text and vector search."""
