"""What single heads and neurons do."""
