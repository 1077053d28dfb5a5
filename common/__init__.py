"""What the other packages share: images, masks, boxes, safe publishing. Knows no model, no database, no page."""
