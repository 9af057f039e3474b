"""What RunTables become and are made of: joined ones, data frames, COCO's dicts, a page's HTML."""
