"""What users stumble over, found before the first step: one noun a file; knows no page and changes nothing."""
