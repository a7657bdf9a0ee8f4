"""Files of the inference side: uploaded, presigned, read back."""
