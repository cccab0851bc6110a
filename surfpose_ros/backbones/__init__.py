"""Image backbones behind one interface: image to feature maps."""
