"""The HTTP API: each route reads a request, asks one service or query, and answers JSON. Knows no Gradio."""
