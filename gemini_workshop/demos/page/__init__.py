"""The Gradio app: markup as text, one file for each tab, and the page that holds them."""
