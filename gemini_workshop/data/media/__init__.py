"""Images, audio and video, and documents that mix them with text."""
