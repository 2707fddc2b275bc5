"""One function a picture: matplotlib axes in and out."""
